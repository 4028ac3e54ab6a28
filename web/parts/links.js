// A picture of the links: source masters at the left, the links with state and lag in the middle, target nodes at the right.
import {html} from '../ui.js';
import {t, word} from '../words.js';
import {bytes, number, percent, place, rate, seconds} from '../format.js';
import {State, tone} from './state.js';

const WIDTH = 860;
const BOX = {width: 210, height: 44};
const LINK = {width: 176, height: 52};
const STEP = 66;

const middle = (index, count, rows) => STEP * (rows - count) / 2 + STEP * index + STEP / 2;
const short = (text, most) => (text.length > most ? `${text.slice(0, most / 2 - 1)}…${text.slice(1 - most / 2)}` : text);

function Node({x, y, title, text}) {
  return html`<g class="node"><rect x=${x} y=${y - BOX.height / 2} width=${BOX.width} height=${BOX.height} rx="7" />
    <text x=${x + 12} y=${y - 3} class="node-name">${short(title, 26)}<title>${title}</title></text>
    <text x=${x + 12} y=${y + 13} class="node-text">${text}</text></g>`;
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
  const links = status.links;
  const targets = targetsOf(task, status);
  const rows = Math.max(links.length, targets.length, 1);
  const height = rows * STEP + 8;
  const linkX = (WIDTH - LINK.width) / 2;
  const targetX = WIDTH - BOX.width - 2;
  const summary = links.map((link) => t('picture.link', {source: link.source, state: word('state', link.state), lag: seconds(link.lag.seconds)})).join('; ');
  return html`<div class="picture" tabindex="0" role="group" aria-label=${t('picture.title')}>
    <svg viewBox=${`0 0 ${WIDTH} ${height}`} role="img" aria-label=${`${t('picture.title')}: ${summary}. ${t('picture.targets', {list: targets.join(', ')})}`}>
      ${links.map((link, index) => {
        const y = middle(index, links.length, rows);
        const kind = link.connected || link.state === 'finished' ? tone(link.state) : link.state === 'failed' ? 'bad' : 'warn';
        const flows = link.connected && !link.waiting_for;
        return html`<g key=${link.source} class=${`flow ${kind} ${flows ? 'flows' : ''}`}>
          <path class="wire" d=${curve(BOX.width + 2, y, linkX, y)} />
          ${targets.map((_, to) => html`<path class="wire" d=${curve(linkX + LINK.width, y, targetX, middle(to, targets.length, rows))} />`)}
          <${Node} x=${2} y=${y} title=${link.source} text=${link.connected ? t('picture.connected') : t('picture.away')} />
          <g class="link-box"><rect x=${linkX} y=${y - LINK.height / 2} width=${LINK.width} height=${LINK.height} rx="26" />
            <circle cx=${linkX + 20} cy=${y} r="5" class="lamp" />
            <text x=${linkX + 34} y=${y - 4} class="node-name">${word('state', link.state)}</text>
            <text x=${linkX + 34} y=${y + 14} class="node-text">${detail(link)}</text></g>
        </g>`;
      })}
      ${targets.map((target, index) => html`<${Node} key=${target} x=${targetX} y=${middle(index, targets.length, rows)} title=${target} text=${t('picture.target')} />`)}
    </svg></div>`;
}

export function LinkTable({status}) {
  return html`<div class="scroll" tabindex="0" role="group" aria-label=${t('links.title')}><table class="cards">
    <caption class="hidden">${t('links.title')}</caption>
    <thead><tr><th scope="col">${t('links.source')}</th><th scope="col">${t('links.state')}</th><th scope="col" class="num">${t('links.lag')}</th><th scope="col" class="num">${t('links.rate')}</th>
      <th scope="col" class="num">${t('links.spool')}</th><th scope="col" class="num">${t('links.position')}</th><th scope="col" class="num">${t('links.again')}</th></tr></thead>
    <tbody>${status.links.map((link) => html`<tr key=${link.source}>
      <th scope="row">${link.source}</th>
      <td class="cell-state"><${State} state=${link.state} />
        ${!link.connected && ['snapshot', 'streaming'].includes(link.state) && html`<span class="fault small">${t('links.away')}</span>`}
        ${link.waiting_for && html`<span class="fault small">${t('links.waiting', {why: link.waiting_for})}</span>`}
        ${link.error && html`<span class="fault small">${link.error.text}</span>`}</td>
      <td class="num" data-label=${t('links.lag')}>${seconds(link.lag.seconds)}<span class="sub">${link.lag.bytes == null ? '' : bytes(link.lag.bytes)}</span></td>
      <td class="num" data-label=${t('links.rate')}>${rate(link.rates.commands_per_second)}<span class="sub">${bytes(link.rates.bytes_per_second)}/s</span></td>
      <td class="num" data-label=${t('links.spool')}>${bytes(link.spool.bytes)}<span class="sub">${t('links.disk', {size: bytes(link.spool.disk_bytes)})}</span></td>
      <td class="num" data-label=${t('links.position')}>${link.position.applied == null ? '–' : number(link.position.applied)}<span class="sub" title=${link.position.replid}>${link.position.replid?.slice(0, 8)}</span></td>
      <td class="num" data-label=${t('links.again')}>${t('links.again_counts', {source: number(link.reconnects), target: number(link.target_reconnects), full: number(link.resyncs)})}</td>
    </tr>`)}</tbody></table></div>`;
}
