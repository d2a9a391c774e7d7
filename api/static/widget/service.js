// The service over HTTP: answers as they are written, documents, verdicts. Knows no page.

/**
 * Why there is no answer.
 * `kind`: "unreachable", "busy" (a later try may succeed), "refused" (the same cannot), "broken off".
 */
export class Problem extends Error {
  /**
   * @param {"unreachable" | "busy" | "refused" | "broken off"} kind
   * @param {string} [detail] what the service itself says, in English
   * @param {number} [status] that of HTTP
   */
  constructor(kind, detail = "", status) {
    super(detail);
    this.kind = kind;
    this.status = status;
  }
}

/** One service, asked in the name of one key. */
export class Service {
  /**
   * @param {string} base address of the service, with a slash at its end
   * @param {string} [key] a key; "" asks without one
   * @param {string} [visitor] a random name, by which the limits of the key count
   */
  constructor(base, key = "", visitor = "") {
    this.base = base;
    this.key = key;
    this.visitor = visitor;
  }

  /**
   * The answer to a question; until it is whole, `onText` gets its pieces, and `onRestart` says that
   * those so far are void.
   * @param {Record<string, unknown>} asked
   * @param {{signal?: AbortSignal, onText: (piece: string) => void, onRestart: () => void}} listener
   */
  async answer(asked, { signal, onText, onRestart }) {
    const response = await this.#post("v1/answers", { ...asked, stream: true }, signal);
    if (!response.headers.get("content-type")?.startsWith("text/event-stream")) return response.json();
    for await (const { name, data } of eventsOf(response.body)) {
      if (name === "delta") onText(data.text ?? "");
      if (name === "restart") onRestart();
      if (name === "error") throw problemOf(data);
      if (name === "answer") return data;
    }
    throw new Problem("broken off", "The service closed the connection before it was done.");
  }

  /**
   * One document with its text.
   * @param {string} id
   * @param {string} [collection] the default one where none is given
   */
  async document(id, collection) {
    const query = collection ? `?collection=${encodeURIComponent(collection)}` : "";
    return (await this.request(`v1/documents/${encodeURIComponent(id)}${query}`)).json();
  }

  /**
   * Say whether an answer was right.
   * @param {string} answerId
   * @param {"right" | "wrong"} verdict
   */
  async rate(answerId, verdict) {
    await this.#post("v1/feedback", { answer_id: answerId, verdict });
  }

  /**
   * Hand a question to people, who reply by e-mail.
   * @param {{question: string, contact: string, answer_id?: string, conversation_id?: string}} message
   */
  async handOff(message) {
    await this.#post("v1/handoffs", message);
  }

  /**
   * @param {string} path below the base
   * @param {RequestInit} [options]
   */
  async request(path, options = {}) {
    const key = this.key && { authorization: `Bearer ${this.key}` };
    const visitor = this.visitor && { "x-rag-visitor": this.visitor };
    const headers = { ...options.headers, ...key, ...visitor };
    let response;
    try {
      response = await fetch(new URL(path, this.base), { ...options, headers, credentials: "same-origin" });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Problem("unreachable");
    }
    if (response.ok) return response;
    const body = await response.json().catch(() => ({}));
    throw problemOf({ status: response.status, ...body }, response.headers.get("retry-after"));
  }

  #post(path, body, signal) {
    const headers = { "content-type": "application/json" };
    return this.request(path, { method: "POST", headers, body: JSON.stringify(body), signal });
  }
}

function problemOf({ status = 500, detail, retryable }, retryAfter = null) {
  const message = typeof detail === "string" ? detail : `It answered with status ${status}.`;
  const again = retryAfter ? ` Try again in ${retryAfter} s.` : "";
  return new Problem(retryable ?? (status >= 500 || status === 429) ? "busy" : "refused", message + again, status);
}

async function* eventsOf(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  for (;;) {
    const { value, done } = await reader.read().catch((error) => {
      throw error.name === "AbortError" ? error : new Problem("broken off", error.message);
    });
    buffer = (buffer + (value ?? "")).replace(/\r\n/g, "\n");
    const blocks = buffer.split("\n\n");
    buffer = blocks.pop();
    for (const block of blocks) {
      const field = (name) => block.split("\n").filter((line) => line.startsWith(`${name}:`))
        .map((line) => line.slice(name.length + 1).trimStart()).join("\n");
      if (field("data")) yield { name: field("event"), data: JSON.parse(field("data")) };
    }
    if (done) return;
  }
}
