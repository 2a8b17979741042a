// Asks an OFREP server as JavaScript applications do, and prints what they were told as one JSON object.
// node ask.mjs FOLDER URL API-KEY < {"questions": [[type, gate, default, context], …], "contexts": [context, …], "gate": gate}
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [folder, baseUrl, key] = process.argv.slice(2);
const require = createRequire(`${folder}/`); // the packages lie in the cache, not beside this file
const server = require("@openfeature/server-sdk").OpenFeature;
const web = require("@openfeature/web-sdk").OpenFeature;
const { OFREPProvider } = require("@openfeature/ofrep-provider");
const { OFREPWebProvider } = require("@openfeature/ofrep-web-provider");
const { questions, contexts, gate } = JSON.parse(readFileSync(0, "utf8"));
const headers = [["X-API-Key", key]];

await server.setProviderAndWait(new OFREPProvider({ baseUrl, headers }));
const client = server.getClient();
const answers = [];
for (const [type, flag, fallback, context] of questions) {
  answers.push(await client[`get${type}Details`](flag, fallback, context));
}

const statuses = [];
const fetchImplementation = async (request) => {
  const response = await fetch(request);
  statuses.push(response.status);
  return response;
};
const provider = new OFREPWebProvider({
  baseUrl, headers, fetchImplementation, pollInterval: 50, cacheMode: "disabled", changeDetection: "polling",
});
const values = [];
await web.setContext(contexts[0]);
await web.setProviderAndWait(provider);
for (const context of contexts) {
  await web.setContext(context);
  values.push(web.getClient().getStringValue(gate, "the default"));
}
const asked = statuses.length;
while (statuses.length < asked + 2) await new Promise((resolve) => setTimeout(resolve, 10)); // two polls
const polled = statuses.slice(asked);
await web.close();
await server.close();
console.log(JSON.stringify({ answers, values, polled }));
