// Asks flagd's JavaScript evaluator: a line of JSON in, a line of answers out.
// Arguments: the folder with node_modules, the package, and `interpreted` where code must not be generated.
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const [folder, name, mode] = process.argv.slice(2);
const { FlagdCore } = createRequire(`${folder}/`)(name);
const silent = { error() {}, warn() {}, info() {}, debug() {} };
const resolvers = { boolean: 'Boolean', string: 'String', number: 'Number', object: 'Object' };

// What flagd's schema refuses, the evaluator only logs.
function refuseWhatTheSchemaRefuses(document) {
  const said = [];
  new FlagdCore(undefined, { ...silent, debug: (message) => said.push(message) }).setConfigurations(document);
  const refusal = said.find((message) => `${message}`.includes('invalid flagd flag configuration'));
  if (refusal) throw new Error(refusal);
}

function answers({ document, asked }) {
  const core = new FlagdCore(undefined, silent, { disableDynamicCodeGeneration: mode === 'interpreted' });
  refuseWhatTheSchemaRefuses(document);
  core.setConfigurations(document);
  return asked.map(([gate, context]) => {
    const [example] = core.getFlag(gate).variants.values();
    const details = core[`resolve${resolvers[typeof example]}Evaluation`](gate, null, context, silent);
    return details.errorCode ? [`${details.errorCode}: ${details.errorMessage}`, null] : [details.variant, details.value];
  });
}

for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  process.stdout.write(`${JSON.stringify(answers(JSON.parse(line)))}\n`);
}
