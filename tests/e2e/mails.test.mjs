// What the mails say, in whose words and in which language.

import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';

import { simpleParser } from 'mailparser';

import { run } from '../lib/identihook.mjs';
import { Smtp } from '../lib/smtp.mjs';
import { World, key } from '../lib/world.mjs';

/** A folder with these files, which goes with the test. */
async function templates(t, files) {
  const path = await mkdtemp(join(tmpdir(), 'identihook-mails-'));
  t.after(() => rm(path, { recursive: true }));
  await write(path, files);
  return path;
}

async function write(path, files) {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(path, name)), { recursive: true });
    await writeFile(join(path, name), text);
  }
}

const GERMAN = {
  'de/verified.subject': 'Ihre Identität ist bestätigt\n',
  'de/verified.txt': 'Guten Tag,\n{{#brand.name}}\n\n{{brand.name}}\n{{/brand.name}}\n',
  'de/verified.html': '<html lang="{{locale}}"><p>Guten Tag</p></html>',
};

async function mailOf(world, session, event) {
  assert.equal((await world.carry(event)).outcome, 'done');
  const [mail] = world.mailsTo(session);
  return mail;
}

describe('a mail', { concurrency: 8 }, () => {
  test('carries the brand, the help address, where answers go, and is marked as automatic', async (t) => {
    const world = await World.open(t, {
      settings: {
        IDENTIHOOK_MAIL_FROM: '"Bücher & Söhne, Inc." <identity@bücher.example>',
        IDENTIHOOK_MAIL_REPLY_TO: 'Hilfe <hilfe@bücher.example>',
        IDENTIHOOK_SUPPORT_ADDRESS: 'help@shop.example',
        IDENTIHOOK_BRAND_COLOR: '#ffd400',
        IDENTIHOOK_BRAND_LOGO_URL: 'https://cdn.shop.example/logo.png',
      },
    });
    const { session, event } = world.pair('requires_input', { last_error: { code: 'abandoned', reason: null } });
    const mail = await mailOf(world, session, event);
    assert.equal(mail.from, '"Bücher & Söhne, Inc." <identity@bücher.example>');
    assert.match(mail.raw, /^From: .*\r?\n? <identity@xn--bcher-kva\.example>\r$/m);
    assert.equal(mail.messageId, `<${event.id}.email@xn--bcher-kva.example>`);
    assert.equal(mail.replyTo, '"Hilfe" <hilfe@bücher.example>');
    assert.equal(mail.header('auto-submitted'), 'auto-generated');
    assert.equal(mail.header('mime-version'), '1.0');
    assert.ok(Math.abs(Date.now() - mail.header('date')) < 60_000);
    assert.equal(mail.subject, 'Your identity check is not finished');
    assert.match(mail.text, /help@shop\.example/);
    assert.match(mail.text, /Bücher & Söhne, Inc\./);
    assert.match(mail.html, /mailto:help@shop\.example/);
    assert.match(mail.html, /src="https:\/\/cdn\.shop\.example\/logo\.png" alt="Bücher &amp; Söhne, Inc\."/);
    assert.match(mail.html, /background-color:#ffd400; color:#000000;/);
    assert.ok(mail.raw.split('\r\n').every((line) => line.length <= 78 && /^[\t -~]*$/.test(line)));
  });

  test('reaches an address beyond ASCII, through a server that takes such', async (t) => {
    const world = await World.open(t);
    const { event } = world.pair('verified', { provided_details: { email: 'jörg@bücher.example' } });
    assert.equal((await world.carry(event)).outcome, 'done');
    const [mail] = world.smtp.mails.items;
    assert.equal(mail.envelope.to[0], 'jörg@bücher.example');
    assert.equal(mail.to, 'jörg@bücher.example');
    assert.match(mail.raw, /^To: <jörg@xn--bcher-kva\.example>\r$/m);
  });

  test('to an address beyond ASCII is dead where the server does not take such, with what to do', async (t) => {
    const smtp = await Smtp.start({ hideSMTPUTF8: true });
    t.after(() => smtp.close());
    const world = await World.open(t, { settings: { SMTP_URL: smtp.url } });
    const { event } = world.pair('verified', { provided_details: { email: 'jörg@bücher.example' } });
    await world.deliver(event);
    assert.equal((await world.outcome(event)).outcome, 'dead');
    const [letter] = await world.dead();
    assert.equal(letter.reason, 'email_refused');
    assert.match(letter.error, /SMTPUTF8/);
    assert.ok(!letter.error.includes('jörg'));
    assert.equal(smtp.mails.items.length, 0);
  });

  test('sends those who declined to the other way, where there is one', async (t) => {
    const world = await World.open(t, { settings: { IDENTIHOOK_ALTERNATIVE_PAGE: 'https://shop.example/otherwise' } });
    const { session, event } = world.pair('requires_input', { last_error: { code: 'consent_declined', reason: 'x' } });
    const mail = await mailOf(world, session, event);
    for (const body of [mail.text, mail.html]) {
      assert.match(body, /https:\/\/shop\.example\/otherwise/);
      assert.doesNotMatch(body, /shop\.example\/verify|again/i);
    }
    assert.match(world.updatesOf(event)[0].reason.message, /another way/);
  });

  test('is in the language that the metadata ask for, else in the default one', async (t) => {
    const folder = await templates(t, { ...GERMAN, 'verified.txt': 'In our own words.\n' });
    const world = await World.open(t, {
      settings: { IDENTIHOOK_MAIL_TEMPLATES: folder, IDENTIHOOK_MAIL_LOCALE_KEY: 'language' },
    });
    const german = world.pair('verified', { metadata: { language: 'de-AT' } });
    const mail = await mailOf(world, german.session, german.event);
    assert.equal(mail.subject, 'Ihre Identität ist bestätigt');
    assert.equal(mail.text, 'Guten Tag,\n\nShop');
    assert.equal(mail.html, '<html lang="de"><p>Guten Tag</p></html>');
    for (const metadata of [{ language: 'fr' }, { locale: 'de' }, { language: '../de' }, null]) {
      const { session, event } = world.pair('verified', { metadata });
      const other = await mailOf(world, session, event);
      assert.equal(other.subject, 'Your identity is confirmed');
      assert.equal(other.text, 'In our own words.');
      assert.match(other.html, /identity has been confirmed/);
    }
  });

  test('is in the new words after SIGHUP, and stays in the old ones when those are faulty', async (t) => {
    const folder = await templates(t, { 'verified.txt': 'The first.\n' });
    const world = await World.open(t, { settings: { IDENTIHOOK_MAIL_TEMPLATES: folder }, words: ['--role', 'all'] });
    const text = async () => {
      const { session, event } = world.pair('verified');
      return (await mailOf(world, session, event)).text;
    };
    assert.equal(await text(), 'The first.');
    await write(folder, { 'verified.txt': 'The second.\n' });
    world.program.child.signal('SIGHUP');
    await world.program.logs.first(({ message }) => message === 'mail templates reloaded');
    assert.equal(await text(), 'The second.');
    await write(folder, { 'verified.txt': 'The third.\n{{#brand.name}}\n', ...GERMAN, 'de/verified.html': '<p' });
    world.program.child.signal('SIGHUP');
    const { faults } = await world.program.logs.first(({ message }) => /templates are faulty/.test(message));
    assert.match(faults, /\/verified\.txt:2: this section is never closed with \{\{\/brand\.name\}\}/);
    assert.match(faults, /\/de\/verified\.html:1: it ends within a tag/);
    assert.equal(await text(), 'The second.');
  });

  for (const [name, files, message] of [
    ['with an unknown variable', { 'verified.html': '<p>\n{{reson.title}}' }, /verified\.html:2: there is no variable/],
    ['that is half in a language', { 'de/verified.txt': 'x' }, /de\/verified\.html: is missing/],
    ['of an unknown name', { 'verifed.txt': 'x' }, /verifed\.txt: is no file of a mail/],
  ]) {
    test(`template ${name} stops the start, with file and line`, async (t) => {
      const folder = await templates(t, files);
      const world = await World.open(t, { start: false });
      const { code, stderr } = await world.run(['serve'], { IDENTIHOOK_MAIL_TEMPLATES: folder });
      assert.equal(code, 2, stderr);
      assert.match(stderr, message);
    });
  }

  test('template folder that is not there stops the start', async (t) => {
    const world = await World.open(t, { start: false });
    const { code, stderr } = await world.run(['serve'], { IDENTIHOOK_MAIL_TEMPLATES: '/nowhere/at/all' });
    assert.equal(code, 2, stderr);
    assert.match(stderr, /\/nowhere\/at\/all: cannot be read: No such file/);
  });
});

describe('a mail that is tried again', { concurrency: 8 }, () => {
  const unconfirmed = { stage: 'data', drop: true };

  /** The whole mails that the server got and did not answer, until it takes one. */
  function watch(world) {
    const raws = [];
    world.smtp.arrived.listen(({ raw }) => raws.push(raw));
    return raws;
  }

  test('is the same to the byte, whatever has changed meanwhile', async (t) => {
    const folder = await templates(t, { 'verified.txt': 'The first.\n' });
    const world = await World.open(t, {
      settings: { IDENTIHOOK_MAIL_TEMPLATES: folder, IDENTIHOOK_RETRY_BASE: '1s', IDENTIHOOK_RETRY_CAP: '1s' },
    });
    const { session, event } = world.pair('verified');
    const first = session.provided_details.email;
    const raws = watch(world);
    world.smtp.fail({ ...unconfirmed, times: 2 });
    await world.deliver(event);
    await world.smtp.refused.atLeast(1);
    await write(folder, { 'verified.txt': 'The second.\n' });
    world.program.child.signal('SIGHUP');
    await world.program.logs.first(({ message }) => message === 'mail templates reloaded');
    session.provided_details.email = 'another@person.example';
    assert.equal((await world.outcome(event)).outcome, 'done');
    assert.equal(raws.length, 3);
    assert.deepEqual(new Set(raws).size, 1);
    const [mail] = world.smtp.mails.items;
    assert.equal(mail.text, 'The first.');
    assert.deepEqual(mail.envelope.to, [first]);
    assert.equal(await world.redis.call('EXISTS', key(`mail:${event.id}`)), 0);
  });

  test('is the same when another worker sends it', async (t) => {
    const world = await World.open(t, { settings: { IDENTIHOOK_SMTP_TIMEOUT: '30s' } });
    const { session, event } = world.pair('verified');
    const raws = watch(world);
    world.smtp.fail({ stage: 'data', delay: 3_000, drop: true });
    await world.deliver(event);
    await world.smtp.refused.atLeast(1);
    assert.equal(await world.redis.call('EXISTS', key(`mail:${event.id}`)), 1);
    await world.program.kill();
    await new Promise((resolve) => setTimeout(resolve, 1000)); // so that its date would be another
    await world.start();
    assert.equal((await world.outcome(event)).outcome, 'done');
    assert.equal(world.mailsTo(session).length, 1);
    assert.equal(raws.length, 2);
    assert.equal(raws[0], raws[1]);
  });

  test('is not kept beyond the event, not even that of a dead one', async (t) => {
    const world = await World.open(t);
    const { session, event } = world.pair('verified');
    world.smtp.fail({ stage: 'rcpt', code: 550, times: Infinity });
    await world.deliver(event);
    assert.equal((await world.outcome(event)).outcome, 'dead');
    assert.equal(await world.redis.call('EXISTS', key(`mail:${event.id}`)), 0);
    assert.equal(world.mailsTo(session).length, 0);
  });
});

describe('preview', { concurrency: 8 }, () => {
  const shop = {
    IDENTIHOOK_MAIL_FROM: '"Zoë & Söhne" <identity@söhne.example>',
    IDENTIHOOK_MAIL_REPLY_TO: 'help@shop.example',
    IDENTIHOOK_RETRY_PAGE: 'https://shop.example/verify?a=1&b=2',
    IDENTIHOOK_ALTERNATIVE_PAGE: 'https://shop.example/otherwise',
    IDENTIHOOK_SUPPORT_ADDRESS: 'help@shop.example',
  };
  const codes = async () => {
    const { stderr } = await run(['preview', 'requires_input']);
    return stderr.match(/the codes are(.*)/)[1].trim().split(' ');
  };

  test('writes, for each code, the mail that would be sent, as a mail program can read it', async () => {
    const all = await codes();
    assert.equal(all.length, 20);
    for (const code of all) {
      const { code: status, stdout } = await run(['preview', 'requires_input', '--code', code, '--raw'], shop);
      assert.equal(status, 0);
      assert.ok(stdout.split('\r\n').every((line) => line.length <= 78 && /^[\t -~]*$/.test(line)));
      const mail = await simpleParser(stdout);
      const [[text], [html]] = await Promise.all(
        ['--text', '--html'].map(async (form) => [
          (await run(['preview', 'requires_input', '--code', code, form], shop)).stdout,
        ]),
      );
      assert.equal(mail.text.trimEnd(), text.trimEnd());
      assert.equal(mail.html.trimEnd(), html.trimEnd());
      assert.equal(mail.from.text, '"Zoë & Söhne" <identity@söhne.example>');
      assert.equal(mail.replyTo.text, 'help@shop.example');
      assert.equal(mail.messageId, '<evt_preview.email@xn--shne-5qa.example>');
      const again = !['consent_declined', 'country_not_supported', 'under_supported_age'].includes(code);
      assert.equal(/again/i.test(mail.subject + text + html), again, code);
      assert.equal(text.includes('https://shop.example/verify?a=1&b=2'), again, code);
      assert.equal(html.includes('href="https://shop.example/verify?a=1&amp;b=2"'), again, code);
    }
  });

  test('shows the subject and the text as they are, in the language that is asked for', async (t) => {
    const folder = await templates(t, GERMAN);
    const settings = { IDENTIHOOK_MAIL_TEMPLATES: folder };
    const { code, stdout } = await run(['preview', 'verified', '--locale', 'de_DE'], settings);
    assert.deepEqual([code, stdout], [0, 'Subject: Ihre Identität ist bestätigt\n\nGuten Tag,\n']);
    const other = await run(['preview', 'verified', '--locale', 'fr'], settings);
    assert.match(other.stdout, /^Subject: Your identity is confirmed\n\nHello,\n/);
  });

  test('tells what is wrong with a template or with the command, and exits 2', async (t) => {
    const folder = await templates(t, { 'verified.txt': '\n{{nobody}}' });
    for (const [words, message, settings] of [
      [
        ['verified'],
        /verified\.txt:2: there is no variable 'nobody'; there are brand\.name/,
        { IDENTIHOOK_MAIL_TEMPLATES: folder },
      ],
      [['processing'], /there is no template 'processing'/],
      [['requires_input', '--code', 'nonsense'], /the codes are abandoned consent_declined/],
      [['verified', '--text', '--raw'], /exclude each other/],
    ]) {
      const { code, stdout, stderr } = await run(['preview', ...words], settings);
      assert.deepEqual([code, stdout], [2, '']);
      assert.match(stderr, message);
    }
  });
});
