// A visit to scripts/demo/index.html with Chromium, for demo.t:
//
//     node demo.mjs PAGE PROVIDER PICTURES
//
// prints a JSON object with what was to be seen at each step, and leaves
// screenshots in the directory PICTURES.  PROVIDER is the fake one, which holds
// its answers after four chunks until it is told otherwise.

import {createRequire} from 'node:module';

const [url, provider, pictures] = process.argv.slice(2);
const {chromium} = createRequire(`${pictures}/npm/`)('playwright-core');
const seen = {messages: []};
const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: process.getuid() === 0 ? ['--no-sandbox'] : [],
  timeout: 20000,
});

// the page's policy may neither hinder this nor count it
let evaluate;

async function visit(options = {}) {
  const context = await browser.newContext({
    viewport: {width: 1280, height: 900}, ...options});
  const page = await context.newPage();
  const session = await context.newCDPSession(page);

  page.setDefaultTimeout(20000);
  page.on('console', message => seen.messages.push(message.text()));
  page.on('pageerror', error => seen.messages.push(String(error)));
  await page.addInitScript(() => {
    globalThis.violations = [];
    addEventListener('securitypolicyviolation',
      e => violations.push(`${e.violatedDirective} ${e.blockedURI}`));
  });

  evaluate = async expression => {
    const {result, exceptionDetails: wrong} = await session.send(
      'Runtime.evaluate', {expression, returnByValue: true});
    if (wrong) throw new Error(wrong.exception?.description || wrong.text);
    return result.value;
  };

  await page.goto(url);
  return page;
}

// what a reader shows
const reader = id => evaluate(`(() => {
  const root = document.getElementById('${id}');
  const text = name => root.querySelector('.' + name).textContent;
  return {status: root.dataset.status, said: text('badge'),
          verdict: text('verdict'), header: text('header'),
          first: text('first'), total: text('total'), chunks: text('chunks'),
          generation: text('generation'), answer: text('answer'),
          busy: root.querySelector('.answer').ariaBusy,
          marks: (root.querySelector('.strip path').getAttribute('d')
                  .match(/M/g) || []).length,
          problem: root.querySelector('.problem').hidden ? ''
                   : text('problem'),
          elements: root.querySelectorAll('.answer :not(span)').length,
          toggle: root.querySelector('.toggle').hidden ? ''
                  : text('toggle')};
})()`);

// numbers by the name of their chart and their own; shapes that are drawn
const charts = () => evaluate(`Object.fromEntries(
  [...document.querySelectorAll('figure')].map(figure => [
    figure.querySelector('h3').textContent,
    {shapes: figure.querySelectorAll('rect, path').length,
     ...Object.fromEntries([...figure.querySelectorAll('.legend > span')]
       .map(entry => [entry.firstChild.nextSibling.data.trim(),
                      entry.lastChild.textContent]))}]))`);

async function until(what, look, right) {
  const end = Date.now() + 20000;

  for (;;) {
    const value = await look();
    if (right(value)) return value;
    if (Date.now() > end) {
      throw new Error(`waited in vain for ${what}: ${JSON.stringify(value)}`);
    }
    await new Promise(done => setTimeout(done, 40));
  }
}

const ended = id => until(`the end of ${id}`, () => reader(id),
  r => ['completed', 'error'].includes(r.status));
const held = (id, chunks = '4') => until(`${chunks} chunks at ${id}`,
  () => reader(id), r => r.status === 'streaming' && r.chunks === chunks
                         && String(r.marks) === chunks);
const upto = n => fetch(`${provider}/__set?upto=${n}`);
const width = () => evaluate(`[document.documentElement.scrollWidth,
                               innerWidth]`);

// the worst contrast of texts with what they stand on
const contrast = () => evaluate(`(() => {
  const style = getComputedStyle(document.documentElement);
  const light = name => {
    let hex = style.getPropertyValue('--' + name).trim().slice(1);
    if (hex.length === 3) hex = hex.replace(/./g, '$&$&');
    const [r, g, b] = hex.match(/../g).map(x => parseInt(x, 16) / 255)
      .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (x, y) => (Math.max(light(x), light(y)) + 0.05)
                          / (Math.min(light(x), light(y)) + 0.05);
  return Math.min(ratio('accent', 'on-accent'), ratio('text', 'fresh'),
    ...['text', 'dim', 'accent', 'good', 'busy', 'bad'].flatMap(
      name => [ratio(name, 'card'), ratio(name, 'page')]));
})()`);


async function mouse() {
  const page = await visit();
  const button = name => page.getByRole('button', {name, exact: true});
  const ask = async (question, name = 'Ask') => {
    await page.getByLabel('Question').fill(question);
    await button(name).click();
  };
  const a = page.getByRole('region', {name: 'Reader A', exact: true});
  const b = page.getByRole('region', {name: 'Reader B', exact: true});
  const question = 'Who reads? {{chunks=12}}';

  // a miss, and a second reader who leaves and joins again

  seen.idle = {a: await reader('a'), b: await reader('b')};
  await ask(question);
  seen.miss = await held('a');
  await button('Open a second reader').click();
  seen.second = await held('b');
  await b.getByRole('button', {name: 'Leave'}).click();
  seen.left = await until('B to leave', () => reader('b'),
                          r => r.status === 'left');
  await b.getByRole('button', {name: 'Join again'}).click();
  seen.again = await held('b');
  seen.open = await until('two readers in the chart', charts,
    c => c['Open now'].readers === '2');

  await upto(1000);
  seen.ends = {a: await ended('a'), b: await ended('b')};

  // what follows on a miss

  await a.getByRole('button', {name: 'Read again'}).click();
  seen.reread = await ended('a');
  await ask(question);
  seen.hit = await until('a hit', () => reader('a'),
    r => r.status === 'completed' && r.verdict.startsWith('Hit'));
  await ask(question, 'Ask without the cache');
  seen.fresh = await until('another answer', () => reader('a'),
    r => r.status === 'completed' && r.verdict.startsWith('Asked'));
  await ask('Is it markup? {{chunks=2;content='
            + '<b>bold</b> <img src=x onerror=alert(1)>}}');
  seen.markup = await ended('a');
  await ask('Why does it fail? {{status=400}}');
  seen.failed = await ended('a');
  await ask(' ');
  seen.refused = await until('a refusal', () => reader('a'),
    r => r.problem.includes('invalid_field'));
  await ask('Is it cut? {{chunks=3;finish=length}}');
  seen.cut = await ended('a');
  await ask('What restarts? {{chunks=5;fault=reset;at=3;fails=1}}');
  seen.restart = await ended('a');
  seen.charts = await until('all of it in the charts', charts,
    c => c['Open now'].readers === '0'
         && ['hit', 'join', 'miss', 'other'].reduce(
           (n, name) => n + Number(c.Answers[name]), 0) >= 11);

  // a picture of the same with the text of the demonstration

  await upto(11);
  await ask('What is Python?');
  await held('a', '11');
  await b.getByRole('button', {name: 'Read again'}).click();
  await held('b', '11');
  await until('two readers in the picture', charts,
    c => c['Open now'].readers === '2');
  await page.screenshot({path: `${pictures}/demo.png`, fullPage: true});
  seen.light = await contrast();
  await upto(1000);
  await ended('a');
  await ended('b');

  seen.violations = await evaluate('violations');
  seen.said = seen.messages.splice(0);

  // the policy is one: what it forbids is noticed

  seen.html = await evaluate(`(() => {
    try { document.body.innerHTML = '<b>x</b>'; } catch (e) { return e.name; }
  })()`);
  await evaluate(`document.body.append(Object.assign(
    document.createElement('div'), {className: 'probe'}));
    document.querySelector('.probe').setAttribute('style', 'color: red')`);
  seen.forbidden = await until('violations', () => evaluate('violations'),
                               v => v.length === 2);
  await page.context().close();
  seen.messages.length = 0;
}


async function keyboard() {
  const page = await visit({colorScheme: 'dark'});
  const focus = () => evaluate(`document.activeElement.id
    || (document.activeElement.closest('.reader')?.id || '') + ' '
       + document.activeElement.className`);
  const tab = async wanted => {
    seen.focus.push([]);
    for (let n = 0; n < 12; n++) {
      await page.keyboard.press('Tab');
      seen.focus.at(-1).push(await focus());
      if (seen.focus.at(-1).at(-1) === wanted) return;
    }
    throw new Error(`no way to ${wanted}: ${seen.focus.at(-1)}`);
  };

  seen.focus = [];
  await upto(4);
  await tab('question');
  seen.outline = await evaluate(
    'getComputedStyle(document.activeElement).outlineStyle');
  await page.keyboard.press('Control+A');
  await page.keyboard.type('Are keys enough? {{chunks=9}}');
  await page.keyboard.press('Enter');
  await held('a');
  await tab('b toggle');
  await page.keyboard.press('Space');
  seen.keys = {second: await held('b')};
  await page.keyboard.press('Enter');
  seen.keys.left = await until('B to leave', () => reader('b'),
                               r => r.status === 'left');
  await page.keyboard.press('Enter');
  await held('b');
  await upto(1000);
  seen.keys.a = await ended('a');
  seen.keys.b = await ended('b');
  seen.keys.focus = await focus();

  // a phone, with a word that is wider than it

  await page.getByLabel('Question').fill(`${'w'.repeat(200)} {{bytes=300}}`);
  await page.keyboard.press('Enter');
  await until('a wide answer', () => reader('a'),
    r => r.status === 'completed' && r.answer.length > 2000);
  seen.narrow = [];

  for (const size of [320, 390]) {
    await page.setViewportSize({width: size, height: 800});
    seen.narrow.push(await width());
  }

  await page.screenshot({path: `${pictures}/demo-phone.png`, fullPage: true});
  seen.dark = await contrast();
  seen.violations.push(...await evaluate('violations'));
  seen.said.push(...seen.messages);
  await page.context().close();
}


try {
  await mouse();
  await keyboard();

} catch (error) {
  seen.error = String(error.stack);

} finally {
  await browser.close();
}

console.log(JSON.stringify(seen));
