"""Links between the library's reference pages and the chapters (filled in when the reference is built)."""


def setup(app) -> None:
    pass
