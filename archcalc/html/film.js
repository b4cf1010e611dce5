"use strict";
// Steps through the frames of a heap's film that stands in `root`, if there is one.
function film(root) {
  const range = root.querySelector("#frame");
  if (!range) return;
  const events = JSON.parse(range.dataset.events);
  const words = JSON.parse(range.dataset.words);
  const play = root.querySelector("#play");
  const shown = root.querySelector("#event");
  const moment = root.querySelector("#moment");
  const frames = [...root.querySelectorAll(".fr")];
  let timer = 0;
  const show = (at) => {
    range.value = at;
    frames.forEach((frame, number) => frame.classList.toggle("now", number === at));
    shown.textContent = `event ${events[at]}`;
    moment.textContent = words[at];
    range.setAttribute("aria-valuetext", words[at]);
  };
  const stop = () => {
    clearInterval(timer);
    timer = 0;
    play.textContent = "Play";
  };
  range.addEventListener("input", () => {
    stop();
    show(Number(range.value));
  });
  play.addEventListener("click", () => {
    if (timer) return stop();
    play.textContent = "Pause";
    timer = setInterval(() => {
      if (!range.isConnected) return stop();
      show((Number(range.value) + 1) % frames.length);
    }, 500);
  });
}
