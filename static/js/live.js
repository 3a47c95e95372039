// News, never numbers: the socket says which kind of event happened and panels fetch themselves.
// <body data-news="/ws/news/..." data-after="ID">; each piece of news becomes `news:<kind>` on body.
(() => {
  const PATIENCE_MS = [500, 1000, 2000, 5000, 10000];
  const PING_MS = 25000;
  const sign = () => document.querySelector("[data-live-sign]");
  let after = 0;
  let failures = 0;
  let beat = 0;

  const show = (state, text) => {
    const element = sign();
    if (!element || element.dataset.state === state) return;
    element.dataset.state = state;
    element.textContent = text;
  };
  const dispatch = (news) => {
    after = Math.max(after, Number(news.id) || 0);
    document.body.dispatchEvent(new CustomEvent(`news:${news.kind}`, { detail: news }));
    document.body.dispatchEvent(new CustomEvent("news", { detail: news }));
  };
  const connect = () => {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const path = document.body.dataset.news;
    const socket = new WebSocket(`${scheme}//${location.host}${path}?after=${after}`);
    socket.addEventListener("open", () => {
      // What was missed without a row of its own (progress, say) is fetched once after a gap.
      if (failures) document.body.dispatchEvent(new CustomEvent("news:reconnected"));
      failures = 0;
      show("live", "Live");
      beat = setInterval(() => socket.send("ping"), PING_MS);
    });
    socket.addEventListener("message", (message) => {
      if (message.data.startsWith("{")) dispatch(JSON.parse(message.data));
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
