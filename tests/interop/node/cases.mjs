// The calls of connect-es, the same on Node and in a browser: `client` is of interop.v1.Interop. Each case throws what is wrong.
import { Code, ConnectError } from "@connectrpc/connect";

function check(truth, ...what) {
  if (!truth) throw new Error(what.map((w) => (typeof w === "string" ? w : String(w))).join(" "));
}

async function failing(code, text, call) {
  try {
    await call();
  } catch (error) {
    const e = ConnectError.from(error);
    check(e.code === code, `code ${e.code}, not ${code}:`, e);
    if (text) check(e.rawMessage === text, "text", e.rawMessage);
    return e;
  }
  throw new Error("no error");
}

async function* repeat(count, request) {
  for (let i = 0; i < count; i++) yield request;
}

async function all(stream) {
  const got = [];
  for await (const reply of stream) got.push(reply);
  return got;
}

let made = 0;
const name = (what) => `${what}-${Date.now()}-${Math.random()}-${made++}`;

async function ended(client, text, within) {
  const from = Date.now();
  for (;;) {
    const seen = await client.seen({ text });
    const took = Date.now() - from;
    if (seen.done) return seen.code;
    check(took <= within, `the handler has not seen the end after ${took} ms`);
    await new Promise((r) => setTimeout(r, 2));
  }
}

// What every transport can do, a browser's too.
export const cases = {
  async unary(client) {
    let headers, trailers;
    const reply = await client.unary({ text: "hällo" }, {
      headers: { "x-interop": "a b", "x-interop-bin": "AP8" },
      onHeader: (h) => (headers = h),
      onTrailer: (t) => (trailers = t),
    });
    check(reply.text === "hällo" && reply.number === 1, "reply", JSON.stringify(reply));
    check(headers.get("x-interop") === "a b" && trailers.get("x-interop-bin")?.startsWith("AP8"), "metadata");
  },
  async "idempotent unary"(client) {
    check((await client.get({ text: "get" })).text === "get");
  },
  async "large messages"(client) {
    for (const size of [1000, 100_000, 2_000_000]) {
      const text = "x".repeat(size);
      check((await client.unary({ text })).text === text, size, "up");
      check((await client.unary({ size })).payload.length === size, size, "down");
    }
  },
  async "error with details"(client) {
    const e = await failing(Code.FailedPrecondition, "as asked, 100 %", () =>
      client.unary({ text: "as asked, 100 %", code: Code.FailedPrecondition }));
    check(e.details.length === 1 && e.details[0].type === "google.rpc.ErrorInfo", "details");
  },
  async "message over the limit"(client) {
    await failing(Code.ResourceExhausted, "", () => client.unary({ text: "x".repeat(4 * 1024 * 1024 + 1) }));
  },
  async "server stream"(client) {
    for (const count of [0, 1, 50]) {
      const got = await all(client.download({ text: name("download"), count, size: 5000 }));
      check(got.length === count && got.every((r, i) => r.number === i + 1 && r.payload.length === 5000), got.length, "messages");
    }
  },
  async "trailers only"(client) {
    const text = name("ends badly");
    await failing(Code.FailedPrecondition, text, () => all(client.download({ text, code: Code.FailedPrecondition })));
  },
  async "error behind messages"(client) {
    const text = name("ends badly");
    let count = 0;
    await failing(Code.FailedPrecondition, text, async () => {
      for await (const _ of client.download({ text, count: 3, code: Code.FailedPrecondition })) count++;
    });
    check(count === 3, count, "messages");
  },
  async deadline(client) {
    const text = name("deadline");
    await failing(Code.DeadlineExceeded, "", () => all(client.download({ text, hold: true }, { timeoutMs: 200 })));
    await ended(client, text, 500);
    await failing(Code.DeadlineExceeded, "", () => client.unary({ hold: true }, { timeoutMs: 200 }));
  },
  async cancel(client) {
    const text = name("cancel");
    const abort = new AbortController();
    await failing(Code.Canceled, "", async () => {
      for await (const _ of client.download({ text, hold: true }, { signal: abort.signal })) abort.abort();
    });
    check((await ended(client, text, 100)) === Code.Canceled, "the handler's code");
  },
};

// What needs requests that stream, which browsers do not have.
export const streams = {
  async "client stream"(client) {
    check((await client.upload(repeat(50, { text: "up" }))).number === 50);
  },
};

// What needs both directions at once: HTTP/2.
export const duplex = {
  async "early end"(client) {
    const reply = await client.upload((async function* () {
      for (let i = 0; i < 100; i++) {
        yield { text: "early", after: 3 };
        await new Promise((r) => setTimeout(r, 2));
      }
    })());
    check(reply.number === 3, reply.number);
  },
  async "bidi ping-pong"(client) {
    let answered = () => {};
    let turn = 0;
    const text = name("chat");
    async function* questions() {
      for (let i = 0; i < 50; i++) {
        const answer = new Promise((resolve) => (answered = resolve));
        yield { text, size: i * 100 };
        await answer;
      }
    }
    for await (const reply of client.chat(questions())) {
      check(reply.number === ++turn && reply.text === text, "turn", turn);
      answered();
    }
    check(turn === 50, turn, "turns");
  },
  async "bidi, error by the server"(client) {
    const text = name("chat");
    await failing(Code.FailedPrecondition, text, () => all(client.chat(repeat(2, { text, after: 2, code: Code.FailedPrecondition }))));
  },
};

export async function run(group, set, client, report) {
  let good = true;
  for (const [title, test] of Object.entries(set)) {
    // What has to be seen within 100 ms may be late on a busy machine, but not five times.
    const tries = title.startsWith("cancel") ? 5 : 1;
    for (let left = tries; left > 0; left--) {
      const from = Date.now();
      try {
        await test(client);
        report(`ok\t${group}\t${title}\t${Date.now() - from} ms`);
        break;
      } catch (error) {
        if (left > 1) continue;
        good = false;
        report(`FAILED\t${group}\t${title}\t${error}`);
      }
    }
  }
  return good;
}
