// deploy/kubernetes, judged by Kubernetes' own schemas and by what the program really exports. No cluster is needed.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import ts from 'typescript';
import { parseAllDocuments } from 'yaml';

import { run } from '../lib/identihook.mjs';
import { World } from '../lib/world.mjs';

const root = fileURLToPath(new URL('../../deploy/', import.meta.url));
const kubernetes = join(root, 'kubernetes');
const rendered = ['base', 'overlays/all-in-one', 'overlays/split', 'monitoring'];
const examples = ['examples/ingress.yaml', 'examples/migrate.yaml', 'examples/secret.yaml'];

/** `patches` came with kustomize 4: Debian 12's own kubectl is too old. */
function kubectlIsTooOld() {
  try {
    const { kustomizeVersion } = JSON.parse(execFileSync('kubectl', ['version', '--client', '-o', 'json']));
    return kustomizeVersion ? false : 'kubectl is older than 1.24';
  } catch {
    return 'there is no kubectl';
  }
}

const skip = kubectlIsTooOld();
const parse = (text) => parseAllDocuments(text).map((document) => document.toJSON());
const render = (folder) => parse(execFileSync('kubectl', ['kustomize', join(kubernetes, folder)], { encoding: 'utf8' }));
const readObjects = async (file) => parse(await readFile(join(kubernetes, file), 'utf8'));

/** The package that knows this kind of object, and the module in it. */
function modelOf({ apiVersion, kind }) {
  const packages = {
    'keda.sh': '@kubernetes-models/keda',
    'monitoring.coreos.com': '@kubernetes-models/prometheus-operator',
  };
  const group = apiVersion.includes('/') ? apiVersion.split('/')[0] : '';
  return `${packages[group] ?? 'kubernetes-models'}/${apiVersion}/${kind}`;
}

/**
 * What is wrong with an object: by its schema (values), and by its type as an object literal (TypeScript refuses fields that
 * the type does not have, where a cluster would silently drop them).
 */
async function faultsOf(object) {
  const module = await import(modelOf(object));
  const Model = module[object.kind] ?? module.default[object.kind];
  const faults = [];
  try {
    new Model(object).validate();
  } catch (error) {
    faults.push(error.message);
  }
  const folder = await mkdtemp(join(fileURLToPath(new URL('..', import.meta.url)), 'node_modules', '.kubernetes-'));
  try {
    const file = join(folder, 'object.ts');
    const type = `I${object.kind}`;
    await writeFile(
      file,
      `import type { ${type} } from '${modelOf(object)}';\nexport const object: ${type} = ${JSON.stringify(object)};\n`,
    );
    const program = ts.createProgram([file], {
      noEmit: true,
      strict: true,
      skipLibCheck: true,
      types: [],
      module: ts.ModuleKind.ESNext,
      moduleResolution: ts.ModuleResolutionKind.Bundler,
    });
    for (const { messageText } of ts.getPreEmitDiagnostics(program)) {
      faults.push(ts.flattenDiagnosticMessageText(messageText, '\n'));
    }
  } finally {
    await rm(folder, { recursive: true });
  }
  return faults;
}

const milliseconds = (text) => Number.parseFloat(text) * { ms: 1, s: 1000, m: 60000 }[text.match(/[a-z]*$/)[0] || 's'];

describe('the manifests', { skip }, () => {
  for (const folder of rendered) {
    test(`of ${folder} are what Kubernetes' schemas ask for, without an unknown field`, async () => {
      const objects = render(folder);
      assert.ok(objects.length > 1);
      for (const object of objects) {
        assert.deepEqual(await faultsOf(object), [], `${object.kind} ${object.metadata.name}`);
      }
    });
  }

  for (const file of examples) {
    test(`of ${file} are, too`, async () => {
      for (const object of await readObjects(file)) assert.deepEqual(await faultsOf(object), []);
    });
  }

  test('with an unknown field or a bad value would be refused', async () => {
    const deployment = render('base').find(({ kind }) => kind === 'Deployment');
    deployment.spec.template.spec.containers[0].readOnly = true;
    assert.match((await faultsOf(deployment)).join(), /readOnly/);
    delete deployment.spec.template.spec.containers[0].readOnly;
    deployment.spec.replicas = 'two';
    assert.notDeepEqual(await faultsOf(deployment), []);
  });

  const deployments = () => ['base', 'overlays/split'].flatMap(render).filter(({ kind }) => kind === 'Deployment');

  test('meet the restricted pod security standard, with a read-only root', async () => {
    for (const { spec } of [...deployments(), ...(await readObjects('examples/migrate.yaml'))]) {
      const pod = spec.template.spec;
      assert.equal(pod.securityContext.runAsNonRoot, true);
      assert.equal(pod.securityContext.seccompProfile.type, 'RuntimeDefault');
      assert.equal(pod.automountServiceAccountToken, false);
      for (const { securityContext } of pod.containers) {
        assert.equal(securityContext.allowPrivilegeEscalation, false);
        assert.equal(securityContext.readOnlyRootFilesystem, true);
        assert.deepEqual(securityContext.capabilities, { drop: ['ALL'] });
      }
    }
  });

  test('give a pod longer to end than it takes to drain', () => {
    const config = render('base').find(({ kind }) => kind === 'ConfigMap').data;
    const needed = milliseconds(config.IDENTIHOOK_DRAIN_DELAY) + milliseconds(config.IDENTIHOOK_SHUTDOWN_TIMEOUT);
    for (const { spec } of deployments()) {
      assert.ok(spec.template.spec.terminationGracePeriodSeconds * 1000 >= needed + 5000);
    }
  });

  test('set nothing that the program does not know, and start it with words that it takes', async () => {
    const { stdout } = await run(['serve', '--help']);
    const { data } = render('base').find(({ kind }) => kind === 'ConfigMap');
    for (const name of Object.keys(data)) assert.match(stdout, new RegExp(`\\b${name}\\b`));
    for (const { spec } of [...deployments(), ...(await readObjects('examples/migrate.yaml'))]) {
      const { args } = spec.template.spec.containers[0];
      const { stderr } = await run(args, data);
      assert.match(stderr, /secrets\.env/, 'only the file is missing');
    }
  });

  test('apart, let one set of pods receive and another work', () => {
    const roles = render('overlays/split')
      .filter(({ kind }) => kind === 'Deployment')
      .map(({ metadata, spec }) => [metadata.name, spec.template.spec.containers[0].args[2], spec.replicas]);
    assert.deepEqual(roles.sort(), [
      ['identihook', 'ingest', undefined],
      ['identihook-worker', 'worker', undefined],
    ]);
  });
});

describe('what watches over it', () => {
  const metricsOf = (text) => new Set([...text.matchAll(/identihook_[a-z_]+/g)].map(([name]) => name));

  test('asks only for figures that the program exports', async (t) => {
    const world = await World.open(t, { settings: { IDENTIHOOK_LOOPS: '1' } });
    await world.settle();
    const exported = metricsOf((await world.program.look('/metrics')).text);
    for (const file of ['monitoring/rules.yaml', 'monitoring/dashboard.json', 'overlays/split/worker-autoscaler.yaml']) {
      const asked = metricsOf(await readFile(join(kubernetes, file), 'utf8'));
      assert.ok(asked.size > 0);
      for (const name of asked) assert.ok(exported.has(name), `${file} asks for ${name}`);
    }
  });

  test('has an entry in deploy/README.md for each alert', async () => {
    const readme = await readFile(join(root, 'README.md'), 'utf8');
    const [{ spec }] = await readObjects('monitoring/rules.yaml');
    const alerts = spec.groups.flatMap(({ rules }) => rules);
    assert.ok(alerts.length > 10);
    for (const { alert, annotations } of alerts) {
      assert.match(readme, new RegExp(`^### ${alert}$`, 'm'));
      assert.equal(annotations.runbook, `deploy/README.md#${alert.toLowerCase()}`);
    }
  });

  test('is understood by Prometheus', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'identihook-'));
    t.after(() => rm(folder, { recursive: true }));
    const [{ spec }] = await readObjects('monitoring/rules.yaml');
    const file = join(folder, 'rules.json');
    await writeFile(file, JSON.stringify(spec)); // JSON is YAML
    assert.match(execFileSync('promtool', ['check', 'rules', file], { encoding: 'utf8' }), /rules found/);
    const world = await World.open(t);
    await world.settle();
    const { text } = await world.program.look('/metrics');
    execFileSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' });
  });
});
