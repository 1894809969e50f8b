"""Search finds every form of a word, and the page that a reader wants comes first."""

import json
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "book/_ext"))

from bookshell.search_bg import BulgarianSearch, salient, stem  # noqa: E402

FAMILIES = """
правдоподобие правдоподобието правдоподобия ПРАВДОПОДОБИЕТО
разпределение разпределението разпределения разпределенията
апостериорно апостериорното апостериорен апостериорната апостериорни апостериорният апостериорния
латентен латентна латентната латентни латентните латентният
променлива променливата променливи променливите
функция функцията функции функциите
извадка извадката извадки извадките
тегло тегла теглата теглото
граница границата граници границите
градиент градиентът градиента градиенти градиентите
делта делтата делти
поток потокът потока потоци потоците
признак признаци признаците признака
алгоритъм алгоритъма алгоритми алгоритмите алгоритъмът
плътност плътността плътности плътностите
неравенство неравенството неравенства неравенствата
преобразуване преобразуването преобразувания преобразуванията
очакване очакването очаквания очакванията
модел модели моделът модела моделите
оценител оценителят оценителя оценители оценителите
неотместен неотместена неотместени неотместената неотместеният
слой слоят слоеве слоевете слоя
критерий критерият критерия критерии критериите
вариационен вариационният вариационна вариационното
мрежа мрежата мрежи мрежите
карта картата карти картите
дивергенция дивергенцията дивергенции
параметър параметъра параметри параметрите параметърът
нормализиращ нормализиращия нормализиращи нормализиращият нормализиращите
упражнение упражнения упражненията
""".strip().splitlines()

DIFFERENT = [
    "модел",
    "мода",
    "мрежа",
    "мярка",
    "граница",
    "градиент",
    "поток",
    "плътност",
    "оценка",
    "оценител",
    "извод",
    "извадка",
]

CLASSICAL = "lectures/4-gradients/42-classical-inference"
STOCHASTIC = "lectures/4-gradients/43-stochastic-inference"
ESTIMATORS = "lectures/4-gradients/44-gradient-estimators"
SCORE = "lectures/4-gradients/45-score-function-estimator"
REPARAMETERISATION = "lectures/4-gradients/46-reparameterisation"
PATHWISE = "lectures/4-gradients/47-pathwise-estimator"
GAUSSIAN = "lectures/4-gradients/48-gaussian-gradients"
RATIO = "lectures/6-comparison/64-density-ratio-and-classification"
BAYES = "lectures/6-comparison/65-density-ratio-by-bayes"
SUPERVISED = "lectures/6-comparison/66-unsupervised-as-supervised"
MARGINAL = "lectures/3-inference/28-marginal-likelihood"
LAPLACE = "lectures/3-inference/30-laplace-approximation"
IMPORTANCE = "lectures/3-inference/31-importance-sampling"
BOUND = "lectures/3-inference/33-variational-bound"
# the three chapters that derive a bound by it
JENSEN = (MARGINAL, "lectures/3-inference/32-importance-sampling-properties", BOUND)
PARTS_OF_THE_BOUND = "lectures/3-inference/34-reconstruction-and-regularisation"
MODES = "lectures/5-posteriors/51-real-world-posteriors"
MEAN_FIELD = "lectures/5-posteriors/50-mean-field"
FLOW = "lectures/5-posteriors/55-change-of-variables"
TRANSFORMATION = "lectures/5-posteriors/58-choice-of-transformation"

QUERIES = {  # what a reader types: the page that must come first, or those of which one must
    "апроксимация на Лаплас": LAPLACE,
    "апроксимацията на лаплас": LAPLACE,
    "ЛАПЛАС": LAPLACE,
    "хесианът във върха": (LAPLACE, MODES),
    "Стърлинг": LAPLACE,
    "делта-метод": LAPLACE,
    "извадка по важност": IMPORTANCE,
    "извадките по важност": IMPORTANCE,
    "тегла на важност": IMPORTANCE,
    "ESS": IMPORTANCE,
    "ефективен обем": IMPORTANCE,
    "ефективния обем на извадката": IMPORTANCE,
    "вариационно приближение": (BOUND, PARTS_OF_THE_BOUND),
    "вариационните приближения": (BOUND, PARTS_OF_THE_BOUND),
    "долната граница": BOUND,
    "долна граница": BOUND,
    "смяна на променливите": FLOW,
    "СМЯНАТА НА ПРОМЕНЛИВИТЕ": FLOW,
    "нормализиращ поток": FLOW,
    "нормализиращите потоци": FLOW,
    "Laplace": LAPLACE,
    "ELBO": BOUND,
    "неравенство на Йенсен": JENSEN,
    "Jensen": JENSEN,
    "якобиан на преобразуването": (FLOW, TRANSFORMATION),
    "change of variables": FLOW,
    "класически подход": CLASSICAL,
    "EM алгоритъм": "lectures/3-inference/37-variational-em",
    "минипакети": STOCHASTIC,
    "стохастичен вариационен извод": STOCHASTIC,
    "градиентни оценители": ESTIMATORS,
    "скор-функция": SCORE,
    "скор функцията": SCORE,
    "REINFORCE": SCORE,
    "репараметризацията": REPARAMETERISATION,
    "неявна репараметризация": REPARAMETERISATION,
    "производна по пътя": PATHWISE,
    "pathwise": PATHWISE,
    "нецентрираната параметризация": PATHWISE,
    "гаусови градиенти": GAUSSIAN,
    "теорема на Прайс": GAUSSIAN,
    "отношението на плътностите": (RATIO, BAYES),
    "отношение на плътности по Бейс": BAYES,
    "учене без учител": SUPERVISED,
    "средното поле": MEAN_FIELD,
    "копула": "lectures/5-posteriors/54-posterior-families",
    "поток върху тор": "lectures/5-posteriors/60-flows-on-sphere-and-torus",
    "планарен поток": (TRANSFORMATION, "lectures/5-posteriors/57-flows-as-posteriors"),
    "лаборатория 1": "labs/1-elbo/lab",
    "gaussian_kl": "labs/1-elbo/lab",
    "означения": "book/notation",
    "речника": "book/glossary",
    "поправки": "book/errata",
    "картата на слайдовете": "book/map",
    "литература": "book/bibliography",
}


@pytest.mark.parametrize("family", FAMILIES)
def test_forms_of_a_word_have_one_stem(family):
    assert len({stem(word) for word in family.split()}) == 1


def test_different_words_keep_different_stems():
    assert len({stem(word) for word in DIFFERENT}) == len(DIFFERENT)


def test_stopwords_and_numbers_are_not_indexed():
    search = BulgarianSearch({})
    assert not search.word_filter("на") and not search.word_filter("42")
    assert search.word_filter(stem("ELBO")) and search.word_filter(stem("поток"))


def test_the_pages_that_use_a_word_most_are_known_best_first():
    counts = {
        "lectures/a": Counter({"плътн": 2, "сам": 9}),
        "lectures/b": Counter({"плътн": 5}),
        "book/glossary": Counter({"плътн": 50}),
    }
    order = ["book/glossary", "lectures/a", "lectures/b"]
    assert salient(counts, order) == {"плътн": [2, 1]}  # of one page alone there is nothing to order


@pytest.fixture(scope="module")
def results(browser, site) -> dict[str, list[str]]:
    """For every query the pages that the built book's own search returns, best first."""
    page = browser.new_page()
    page.goto(f"{site}search.html")
    page.wait_for_function("typeof Search !== 'undefined' && Search.hasIndex()")
    found = page.evaluate(
        """queries => queries.map(query => {
             const [text, ...terms] = Search._parseQuery(query);
             return Search._performSearch(text, ...terms).map(result => result[0]).reverse();
           })""",
        list(QUERIES),
    )
    page.close()
    return dict(zip(QUERIES, found, strict=True))


@pytest.mark.book
@pytest.mark.browser
@pytest.mark.parametrize("query", QUERIES)
def test_query_finds_its_page_first(results, query):
    expected = QUERIES[query]
    assert results[query][0] in ((expected,) if isinstance(expected, str) else expected)


@pytest.mark.book
@pytest.mark.browser
def test_browser_and_builder_have_the_same_stems(browser, site):
    words = [word for family in FAMILIES for word in family.split()]
    page = browser.new_page()
    page.goto(f"{site}search.html")
    stems = page.evaluate(f"{json.dumps(words)}.map(word => new Stemmer().stemWord(word))")
    page.close()
    assert stems == [stem(word) for word in words]
