// Divides every column into slides as high as the screen, once formulas have their height; starts reveal.js.

const WIDTH = 1280, HEIGHT = 720, ROOM = 640; // the last leaves margins

// A heading stays with what follows it, a formula with the sentence that leads to it.
function groups(blocks) {
  const joined = [];
  let before = null;
  for (const block of blocks) {
    const follows = before && (/^H[3-6]$|^SPAN$/.test(before.tagName) || (block.matches(".math") && before.tagName === "P"));
    if (follows) joined.at(-1).push(block);
    else joined.push([block]);
    before = block;
  }
  return joined;
}

const bottom = (block) => block.getBoundingClientRect().bottom;
const ceiling = (block) => block.getBoundingClientRect().top;

function divide(column) {
  const [heading, ...rest] = [...column.children].filter((block) => block.tagName !== "SPAN");
  const headingRoom = heading.offsetHeight + 24;
  const measured = groups(rest).map((blocks) => ({ blocks, height: bottom(blocks.at(-1)) - ceiling(blocks[0]) + 18 }));
  const slides = [];
  let room = 0;
  for (const { blocks, height } of measured) {
    if (slides.length === 0 || (height > room && slides.at(-1).children.length > 1)) {
      const slide = document.createElement("section");
      slide.append(slides.length === 0 ? heading : again(heading));
      slides.push(slide);
      room = ROOM - headingRoom;
    }
    slides.at(-1).append(...blocks);
    room -= height;
  }
  if (slides.length === 0) {
    slides.push(document.createElement("section"));
    slides[0].append(heading);
  }
  const stack = document.createElement("section");
  stack.append(...slides);
  return stack;
}

function again(heading) {
  const repeated = heading.cloneNode(true);
  repeated.removeAttribute("id");
  for (const inner of repeated.querySelectorAll("[id]")) inner.removeAttribute("id");
  repeated.classList.add("again");
  return repeated;
}

// One block may be higher than the screen: code, an exercise with its parts. Opening a hint changes heights too.
function letScroll() {
  for (const slide of document.querySelectorAll(".slides > section > section")) {
    const shown = slide.style.display; // reveal.js keeps it there
    slide.style.display = "block";
    slide.classList.remove("tall");
    if (slide.scrollHeight > HEIGHT - 20) {
      slide.classList.add("tall");
      slide.tabIndex = 0;
    }
    slide.style.display = shown;
  }
}

window.addEventListener("load", async () => {
  if (window.MathJax && MathJax.startup) await MathJax.startup.promise;
  const source = document.querySelector("main");
  const stacks = [...source.children].map(divide);
  document.querySelector(".slides").append(...stacks);
  source.remove();
  document.body.classList.add("bd-article");
  letScroll();
  document.addEventListener("toggle", letScroll, true);
  await Reveal.initialize({
    width: WIDTH, height: HEIGHT, margin: 0.02, center: false, hash: true, slideNumber: "c/t", transition: "none",
    keyboardCondition: (event) => !event.target.matches("input, select, textarea, summary, button"),
  });
});
