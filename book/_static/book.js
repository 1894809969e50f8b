// What the themes cannot be told by configuration. Runs on every page; needs no network.

// The copy button's script knows no Bulgarian; these are its names, read when the page is ready.
if (typeof messages !== "undefined" && document.documentElement.lang === "bg") {
  messages.bg = {
    copy: "Копирайте",
    copy_to_clipboard: "Копирайте",
    copy_success: "Копирано",
    copy_failure: "Копирането не успя",
  };
  locale = "bg";
  const title = (icon, text) => icon.replace(/<title>.*?<\/title>/, `<title>${text}</title>`);
  iconCopy = title(iconCopy, messages.bg.copy);
  iconCheck = title(iconCheck, messages.bg.copy_success);
}

// A page opened from a folder may not read other pages, so its search results come without excerpts.
if (location.protocol === "file:" && typeof DOCUMENTATION_OPTIONS !== "undefined") {
  DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
}

// What scrolls sideways can be reached from the keyboard. Formulas have their width once they are typeset.
const SCROLLS = ".highlight pre, .output pre, .pst-scrollable-table-container, .cell_output .output, div.math mjx-container";
const letScroll = () => {
  for (const box of document.querySelectorAll(SCROLLS)) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
  }
};
window.addEventListener("load", () => {
  const typeset = window.MathJax && MathJax.startup ? MathJax.startup.promise : Promise.resolve();
  typeset.then(letScroll);
});
window.addEventListener("resize", letScroll);
