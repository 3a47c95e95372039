// News, never numbers: the socket says which kind of event happened and panels fetch themselves.
// <body data-news="/ws/news/..." data-after="ID">; each piece of news becomes `news:<kind>` on body.
(() => {
  const PATIENCE_MS = [500, 1000, 2000, 5000, 10000];
  const PING_MS = 25000;
  const GATHER_MS = 250; // bursts are told once per kind, and the last of a burst is never lost
  const sign = () => document.querySelector("[data-live-sign]");
  let after = 0;
  let failures = 0;
  let beat = 0;
  let gathering = 0;
  const heard = new Set();

  const show = (state, text) => {
    const element = sign();
    if (!element || element.dataset.state === state) return;
    element.dataset.state = state;
    element.textContent = text;
  };
  const tell = () => {
    gathering = 0;
    const kinds = [...heard];
    heard.clear();
    kinds.forEach((kind) => document.body.dispatchEvent(new CustomEvent(`news:${kind}`)));
    document.body.dispatchEvent(new CustomEvent("news", { detail: kinds }));
  };
  const hear = (news) => {
    after = Math.max(after, Number(news.id) || 0);
    heard.add(news.kind);
    if (!gathering) gathering = setTimeout(tell, GATHER_MS);
  };
  const connect = () => {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const path = document.body.dataset.news;
    const socket = new WebSocket(`${scheme}//${location.host}${path}?after=${after}`);
    socket.addEventListener("open", () => {
      // What was missed without a row of its own (progress, say) is fetched once after a gap.
      if (failures) hear({ kind: "reconnected" });
      failures = 0;
      show("live", "Live");
      beat = setInterval(() => socket.send("ping"), PING_MS);
    });
    socket.addEventListener("message", (message) => {
      if (message.data.startsWith("{")) hear(JSON.parse(message.data));
    });
    socket.addEventListener("close", (event) => {
      clearInterval(beat);
      if (event.code === 4401 || event.code === 4403) {
        show("lost", "Not live: please reload the page");
        return;
      }
      show("lost", "Connection lost, trying again");
      const wait = PATIENCE_MS[Math.min(failures, PATIENCE_MS.length - 1)];
      failures += 1;
      setTimeout(connect, wait + Math.random() * 250);
    });
  };
  document.addEventListener("DOMContentLoaded", () => {
    if (!document.body.dataset.news) return;
    after = Number(document.body.dataset.after) || 0;
    connect();
  });
})();
