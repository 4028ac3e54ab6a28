// A picture of the links: source masters at the left, the links with state and lag in the middle, target nodes at the right. Of many, those that need a look are drawn, and the others
// by what they have in common; so it is as quick and as readable with two hundred source masters.
import {html, narrow, useSignal} from '../ui.js';
import {t, word} from '../words.js';
import {number, percent, seconds} from '../format.js';
import {EACH_MOST, bundles, kindText, lagOf, ranked, shareOf, slowest, toneOf} from '../links.js';

// In the units of the drawing; letters: that a name of a node may have. On a phone it is as wide as that, so that letters stay large enough.
const WIDE = {width: 860, box: 210, link: 196, lamp: 20, gap: 12, letters: 26, words: 24};
const NARROW = {width: 412, box: 124, link: 122, lamp: 12, gap: 7, letters: 18, words: 15};
const BOX_HEIGHT = 44;
const LINK_HEIGHT = 52;
const STEP = 66;

// Of more links, so many that need a look.
const WORST_MOST = 5;

const middle = (index, count, rows) => STEP * (rows - count) / 2 + STEP * index + STEP / 2;
const short = (text, most) => (text.length > most ? `${text.slice(0, most / 2 - 1)}…${text.slice(1 - most / 2)}` : text);
const cut = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

// stacked: it stands for several.
function Node({size, x, y, title, text, stacked}) {
  return html`<g class="node">${stacked && html`<rect x=${x + 4} y=${y - BOX_HEIGHT / 2 + 5} width=${size.box - 4} height=${BOX_HEIGHT} rx="7" />`}
    <rect x=${x} y=${y - BOX_HEIGHT / 2} width=${stacked ? size.box - 4 : size.box} height=${BOX_HEIGHT} rx="7" />
    <text x=${x + size.gap} y=${y - 3} class="node-name">${short(title, size.letters)}<title>${title}</title></text>
    <text x=${x + size.gap} y=${y + 13} class="node-text">${text}</text></g>`;
}

function curve(x, y, toX, toY) {
  const half = (x + toX) / 2;
  return `M${x} ${y}C${half} ${y} ${half} ${toY} ${toX} ${toY}`;
}

// The target's masters, or files; before the task has told, what the document says.
function targetsOf(task, status) {
  const told = [...new Set([...(status.targets ?? []), ...status.links.flatMap((link) => (link.target_file ? [link.target_file.path] : []))])].sort();
  return told.length ? told : [].concat(task.target.address ?? task.target.path ?? []);
}

// A row of one link.
const single = (link) => ({
  key: link.source, tone: toneOf(link), flows: link.connected && !link.waiting_for, title: link.source, text: link.connected ? t('picture.connected') : t('picture.away'),
  state: word('state', link.state), detail: link.state === 'snapshot' ? percent(shareOf(link)) : `${t('link.lag')} ${seconds(lagOf(link))}`,
});

// A row of links of a kind; the worst of them gives it its colour.
function several({key, links}) {
  const lag = slowest(links);
  return {
    key: `bundle-${key}`, bundle: key, tone: toneOf(links[0]), flows: links.every((link) => link.connected && !link.waiting_for), title: t('picture.masters', {count: number(links.length)}),
    text: links.every((link) => link.connected) ? t('picture.connected') : t('picture.away'), state: kindText(key), detail: lag == null ? '' : t('picture.most', {lag: seconds(lag)}),
  };
}

// links: of the status, or some of them. The rows that are drawn, the worst first.
function rowsOf(links) {
  if (links.length <= EACH_MOST) return links.map(single);
  const order = ranked(links);
  const worst = order.filter(({kind}) => kind.needsLook).slice(0, WORST_MOST);
  return [...worst.map(({link}) => single(link)), ...bundles(order.slice(worst.length)).map((bundle) => (bundle.links.length === 1 ? single(bundle.links[0]) : several(bundle)))];
}

// In words, for who does not see it: each link, or how many of each kind.
function inWords(links, targets) {
  const told = links.length <= EACH_MOST ? links.map((link) => t('picture.link', {source: link.source, state: word('state', link.state), lag: seconds(lagOf(link))}))
    : bundles(ranked(links)).map((bundle) => `${kindText(bundle.key)}: ${number(bundle.links.length)}`);
  const to = targets.length <= EACH_MOST ? targets.join(', ') : number(targets.length);
  return `${t('picture.title')}: ${told.join('; ')}. ${t('picture.targets', {list: to})}`;
}

// links: those that are shown. open: called with the kind of a bundle that was clicked; there are buttons beside the picture for the same.
export function LinkPicture({task, status, links, open}) {
  const size = useSignal(narrow) ? NARROW : WIDE;
  const all = targetsOf(task, status);
  const targets = all.length <= EACH_MOST ? all.map((target) => ({title: target, text: t('picture.target')}))
    : [{title: t('picture.nodes', {count: number(all.length)}), text: t('picture.target'), stacked: true}];
  const drawn = rowsOf(links);
  const rows = Math.max(drawn.length, targets.length, 1);
  const linkX = (size.width - size.link) / 2;
  const targetX = size.width - size.box - 2;
  return html`<div class="picture" tabindex="0" role="group" aria-label=${t('picture.title')}>
    <svg viewBox=${`0 0 ${size.width} ${rows * STEP + 8}`} role="img" aria-label=${inWords(links, all)}>
      ${drawn.map((row, index) => {
        const y = middle(index, drawn.length, rows);
        return html`<g key=${row.key} class=${`flow ${row.tone} ${row.flows ? 'flows' : ''} ${row.bundle ? 'bundle' : ''}`} onClick=${row.bundle && open ? () => open(row.bundle) : null}>
          <path class="wire" d=${curve(size.box + 2, y, linkX, y)} />
          ${targets.map((_, to) => html`<path class="wire" d=${curve(linkX + size.link, y, targetX, middle(to, targets.length, rows))} />`)}
          <${Node} size=${size} x=${2} y=${y} title=${row.title} text=${row.text} stacked=${Boolean(row.bundle)} />
          <g class="link-box"><rect x=${linkX} y=${y - LINK_HEIGHT / 2} width=${size.link} height=${LINK_HEIGHT} rx="26" />
            <circle cx=${linkX + size.lamp} cy=${y} r="5" class="lamp" />
            <text x=${linkX + size.lamp + 12} y=${row.detail ? y - 4 : y + 5} class="node-name">${cut(row.state, size.words - 4)}<title>${row.state}</title></text>
            <text x=${linkX + size.lamp + 12} y=${y + 14} class="node-text">${row.detail}</text></g>
        </g>`;
      })}
      ${targets.map((target, index) => html`<${Node} size=${size} key=${target.title} x=${targetX} y=${middle(index, targets.length, rows)} ...${target} />`)}
    </svg></div>`;
}
