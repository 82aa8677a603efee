// What the pages do beyond htmx: stars under the pointer, focus after a change, words when offline.
// Without it every form still works, by its button.
(() => {
  const sliders = (root) => root.querySelectorAll(".stars input");
  const paint = (slider, stars) => slider.style.setProperty("--stars", stars ?? slider.value);
  const words = (stars) => {
    const whole = Math.floor(stars) || "";
    return `${whole}${stars % 1 ? "½" : ""}`;
  };

  // The half star under the pointer, counted from the left: its right end is the value.
  const under = (slider, event) => {
    const box = slider.getBoundingClientRect();
    const share = (event.clientX - box.left) / box.width;
    return Math.min(5, Math.max(0.5, Math.ceil(share * 10) / 2));
  };

  const say = (slider) => {
    const { stars, notRated } = document.body.dataset;
    const text = +slider.value ? stars.replace("{stars}", words(+slider.value)) : notRated;
    slider.setAttribute("aria-valuetext", text);
    paint(slider);
  };

  const slider = (event) => event.target.closest?.(".stars input");
  document.addEventListener("pointermove", (event) => {
    const found = slider(event);
    if (found && event.pointerType === "mouse") paint(found, under(found, event));
  });
  document.addEventListener("pointerout", (event) => slider(event) && paint(slider(event)));
  document.addEventListener("input", (event) => slider(event) && say(slider(event)));
  // A click or a touch rates at once; by the keyboard, Enter or the button does.
  document.addEventListener("pointerup", (event) => {
    const found = slider(event);
    if (!found) return;
    found.value = under(found, event);
    say(found);
    found.form.requestSubmit(found.form.querySelector(".go"));
  });

  // The part of the page that was replaced had the focus: it goes to what stands there now.
  let place = null;
  document.addEventListener("htmx:beforeSwap", () => {
    const active = document.activeElement;
    const all = [...document.querySelectorAll("#personal .acts, .card .acts")];
    const form = active?.closest(".acts");
    const name = active?.matches(".stars input") ? "input[type=range]" : "button";
    place = form && { at: all.indexOf(form), name };
  });
  document.addEventListener("htmx:afterSettle", (event) => {
    sliders(document).forEach((each) => paint(each));
    if (!place || document.activeElement !== document.body) return;
    const form = document.querySelectorAll("#personal .acts, .card .acts")[place.at];
    const there = form?.querySelector(place.name) ?? form?.querySelector("button");
    (there ?? document.getElementById("main")).focus({ preventScroll: true });
    place = null;
  });

  // What was said goes after a while; what it offers to undo stays below "Your ratings".
  let silence = 0;
  const hush = () => {
    const said = document.getElementById("said");
    clearTimeout(silence);
    const end = () => (said.matches(":hover, :focus-within") ? hush() : said.replaceChildren());
    silence = setTimeout(end, 20000);
  };
  document.addEventListener("htmx:afterSettle", hush);

  document.addEventListener("htmx:sendError", () => {
    document.getElementById("said").textContent = document.body.dataset.offline;
  });

  document.addEventListener("DOMContentLoaded", () => {
    sliders(document).forEach((each) => paint(each));
    const again = document.querySelector("[data-again]");
    if (again) setTimeout(() => location.reload(), 1000 * again.dataset.again);
  });
})();
