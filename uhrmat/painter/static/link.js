/* Requests to the server: the token of the address is traded for a key, once, which goes with every request. */

const STORE = "uhrmat-paint-key";

export class Refused extends Error {}
export class Gone extends Error {}

export class Link {
  constructor() {
    this.page = Math.random().toString(36).slice(2);
    this.key = localStorage.getItem(STORE) || "";
    this.queue = Promise.resolve();
    this.frame = null; // of a clip, which goes with every request
    this.asking = new AbortController();
  }

  /* Asks about another frame of the clip from now on. */
  turn(frame) {
    this.frame = frame;
    this.asking.abort();
    this.asking = new AbortController();
  }

  /* Trades the token after # for a key, and takes it out of the address. */
  async enter() {
    const token = location.hash.slice(1);
    if (!token) return;
    history.replaceState(null, "", location.pathname);
    const reply = await this.request("enter", { token }).catch((error) => {
      if (error instanceof Refused && this.key) return null; // used before, by this browser
      throw error;
    });
    if (!reply) return;
    this.key = reply.key;
    localStorage.setItem(STORE, this.key);
  }

  async fetch(path, options = {}) {
    let reply;
    try {
      reply = await fetch(path, { ...options, headers: { ...options.headers, "X-Uhrmat-Key": this.key } });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Gone("The program that serves this page has ended.");
    }
    if (reply.ok) return reply;
    const text = await reply.json().then((data) => data.error, () => reply.statusText);
    throw reply.status === 403 ? new Refused(text) : new Error(text);
  }

  placed(data) { return this.frame === null ? data : { frame: this.frame, ...data }; }

  async request(name, data = {}) {
    const body = JSON.stringify(data), headers = { "Content-Type": "application/json" };
    return (await this.fetch(`/api/${name}`, { method: "POST", body, headers })).json();
  }

  /* Changes in the order in which they were made. */
  change(name, data) {
    const placed = this.placed(data);
    const made = this.queue.then(() => this.request(name, placed));
    this.queue = made.catch(() => {});
    return made;
  }

  async tile(layer, level, x, y) {
    const place = this.frame === null ? "" : `?frame=${this.frame}`;
    const reply = await this.fetch(`/api/tile/${layer}/${level}/${x}/${y}${place}`);
    return createImageBitmap(await reply.blob());
  }

  /* Calls `then` with every new state; `gone` with the error while there is no server, and with null when it is back. */
  async follow(then, gone) {
    let version = -1;
    for (;;) {
      try {
        const { frame, asking } = this, place = frame === null ? "" : `&frame=${frame}`;
        const state = await (await this.fetch(`/api/state?since=${version}${place}`, { signal: asking.signal })).json();
        gone(null);
        if (frame !== this.frame) throw new DOMException("turned", "AbortError");
        version = state.version;
        then(state);
      } catch (error) {
        if (error.name === "AbortError") { version = -1; continue; }
        gone(error);
        if (error instanceof Refused) return;
        await new Promise((resolve) => setTimeout(resolve, 1500));
      }
    }
  }
}
