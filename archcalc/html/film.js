"use strict";
(() => {
  const events = EVENTS;
  const range = document.getElementById("frame");
  const play = document.getElementById("play");
  const shown = document.getElementById("event");
  const frames = [...document.querySelectorAll(".fr")];
  let timer = 0;
  const show = (at) => {
    range.value = at;
    frames.forEach((frame, number) => frame.classList.toggle("now", number === at));
    shown.textContent = `event ${events[at]}`;
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
    timer = setInterval(() => show((Number(range.value) + 1) % frames.length), 500);
  });
})();
