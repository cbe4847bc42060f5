// The page for the browser: connect-web calls each `server` of the page's address, and each `refused`, whose answers it must not
// get to see. Says what came by POST to /report.
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import { Interop } from "./gen/interop_pb.js";
import { cases, run } from "./cases.mjs";

const parameters = new URLSearchParams(location.search);
const transports = [["connect", createConnectTransport], ["grpc-web", createGrpcWebTransport]];
const lines = [`agent\t${navigator.userAgent}`];
const say = (line) => lines.push(line);

for (const baseUrl of parameters.getAll("server")) {
  const where = baseUrl === location.origin ? "" : " cross-origin";
  for (const [name, create] of transports) {
    for (const useBinaryFormat of [true, false]) {
      const client = createClient(Interop, create({ baseUrl, useBinaryFormat, useHttpGet: name === "connect" }));
      await run(`connect-web ${name}${useBinaryFormat ? "" : " JSON"}${where}`, cases, client, say);
    }
  }
}

// The browser stands between: a page learns that it failed, and nothing else.
async function unseen(call) {
  try {
    await call();
  } catch (error) {
    const e = ConnectError.from(error);
    if (e.code === Code.Unknown && /fetch/i.test(e.rawMessage)) return;
    throw e;
  }
  throw new Error("the page has seen the answer");
}
for (const baseUrl of parameters.getAll("refused")) {
  for (const [name, create] of transports) {
    const client = createClient(Interop, create({ baseUrl, useHttpGet: name === "connect" }));
    const refusals = {
      unary: () => unseen(() => client.unary({ text: "refused" })),
      "a GET, which needs no preflight": () => unseen(() => client.get({ text: "refused" })),
      "server stream": () => unseen(async () => {
        for await (const _ of client.download({ text: "refused", count: 1 })) break;
      }),
    };
    await run(`connect-web ${name}, refused origin`, refusals, client, say);
  }
}
await fetch("/report", { method: "POST", body: lines.join("\n") });
