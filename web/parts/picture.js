// A picture of the links: source masters at the left, the links with state and lag in the middle, target nodes at the right.
import {html, signal, useSignal} from '../ui.js';
import {t, word} from '../words.js';
import {percent, seconds} from '../format.js';
import {tone} from './state.js';

// In the units of the drawing; letters: that a name of a node may have. On a phone it is as wide as that, so that letters stay large enough.
const WIDE = {width: 860, box: 210, link: 176, lamp: 20, gap: 12, letters: 26};
const NARROW = {width: 412, box: 124, link: 112, lamp: 12, gap: 7, letters: 18};
const BOX_HEIGHT = 44;
const LINK_HEIGHT = 52;
const STEP = 66;

const phone = matchMedia('(max-width: 720px)');
const narrow = signal(phone.matches);
phone.addEventListener('change', () => narrow.set(phone.matches));

const middle = (index, count, rows) => STEP * (rows - count) / 2 + STEP * index + STEP / 2;
const short = (text, most) => (text.length > most ? `${text.slice(0, most / 2 - 1)}…${text.slice(1 - most / 2)}` : text);

function Node({size, x, y, title, text}) {
  return html`<g class="node"><rect x=${x} y=${y - BOX_HEIGHT / 2} width=${size.box} height=${BOX_HEIGHT} rx="7" />
    <text x=${x + size.gap} y=${y - 3} class="node-name">${short(title, size.letters)}<title>${title}</title></text>
    <text x=${x + size.gap} y=${y + 13} class="node-text">${text}</text></g>`;
}

function curve(x, y, toX, toY) {
  const half = (x + toX) / 2;
  return `M${x} ${y}C${half} ${y} ${half} ${toY} ${toX} ${toY}`;
}

const shareOf = (link) => {
  const {bytes_total: total, bytes_done: done, keys_total: keys, keys_done: keysDone} = link.snapshot;
  if (total > 0) return Math.min(done / total, 1);
  return keys > 0 ? Math.min(keysDone / keys, 1) : null;
};

const detail = (link) => (link.state === 'snapshot' ? percent(shareOf(link)) : `${t('link.lag')} ${seconds(link.lag.seconds)}`);

// The target's masters, or files; before the task has told, what the document says.
function targetsOf(task, status) {
  const told = [...new Set([...(status.targets ?? []), ...status.links.flatMap((link) => (link.target_file ? [link.target_file.path] : []))])].sort();
  return told.length ? told : [].concat(task.target.address ?? task.target.path ?? []);
}

export function LinkPicture({task, status}) {
  const size = useSignal(narrow) ? NARROW : WIDE;
  const links = status.links;
  const targets = targetsOf(task, status);
  const rows = Math.max(links.length, targets.length, 1);
  const height = rows * STEP + 8;
  const linkX = (size.width - size.link) / 2;
  const targetX = size.width - size.box - 2;
  const summary = links.map((link) => t('picture.link', {source: link.source, state: word('state', link.state), lag: seconds(link.lag.seconds)})).join('; ');
  return html`<div class="picture" tabindex="0" role="group" aria-label=${t('picture.title')}>
    <svg viewBox=${`0 0 ${size.width} ${height}`} role="img" aria-label=${`${t('picture.title')}: ${summary}. ${t('picture.targets', {list: targets.join(', ')})}`}>
      ${links.map((link, index) => {
        const y = middle(index, links.length, rows);
        const kind = link.connected || link.state === 'finished' ? tone(link.state) : link.state === 'failed' ? 'bad' : 'warn';
        const flows = link.connected && !link.waiting_for;
        return html`<g key=${link.source} class=${`flow ${kind} ${flows ? 'flows' : ''}`}>
          <path class="wire" d=${curve(size.box + 2, y, linkX, y)} />
          ${targets.map((_, to) => html`<path class="wire" d=${curve(linkX + size.link, y, targetX, middle(to, targets.length, rows))} />`)}
          <${Node} size=${size} x=${2} y=${y} title=${link.source} text=${link.connected ? t('picture.connected') : t('picture.away')} />
          <g class="link-box"><rect x=${linkX} y=${y - LINK_HEIGHT / 2} width=${size.link} height=${LINK_HEIGHT} rx="26" />
            <circle cx=${linkX + size.lamp} cy=${y} r="5" class="lamp" />
            <text x=${linkX + size.lamp + 12} y=${y - 4} class="node-name">${word('state', link.state)}</text>
            <text x=${linkX + size.lamp + 12} y=${y + 14} class="node-text">${detail(link)}</text></g>
        </g>`;
      })}
      ${targets.map((target, index) => html`<${Node} size=${size} key=${target} x=${targetX} y=${middle(index, targets.length, rows)} title=${target} text=${t('picture.target')} />`)}
    </svg></div>`;
}
