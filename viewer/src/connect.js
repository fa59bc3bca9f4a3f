// Beside the viewer on a page that a server gave: what is new comes as events, each with an id by which a dropped connection, also
// to a server that was started again, goes on where it was. A page in a file has none of this, and nothing that could ask a server.

const { link } = window.elman;
let source, later = 0;

link.post = (path) => fetch(path, { method: "POST" });

// EventSource tries again by itself and sends the last id; where it gives up (the answer was no stream), we do.
function connect() {
  source = new EventSource(`events?${new URLSearchParams({ after: link.id, page: link.page })}`);
  source.onopen = () => link.is("on");
  source.addEventListener("parts", (event) => link.received(event.lastEventId, event.data));
  source.addEventListener("reload", () => link.reload());
  source.onerror = () => {
    link.is("lost");
    if (source.readyState !== EventSource.CLOSED) return;
    clearTimeout(later);
    later = setTimeout(connect, 1000);
  };
}

connect();
addEventListener("pagehide", () => source.close());
