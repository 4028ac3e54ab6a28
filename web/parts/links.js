// The links of a task: as a picture, and with their figures. Of many, one looks for some by name or by how they are.
import {html, narrow, useMemo, useSignal, useState} from '../ui.js';
import {sentence, t} from '../words.js';
import {bytes, number, rate, seconds, time} from '../format.js';
import {EACH_MOST, bundles, bytesBehind, isAway, kindText, lagOf, ranked, toneOf} from '../links.js';
import {LinkPicture} from './picture.js';
import {Said} from './said.js';
import {State} from './state.js';

// Of many, so many are listed at first.
const LISTED = 16;
const LISTED_NARROW = 5;

// Since when a link has been without its source, why, and what to do. While the source prepares a snapshot there is no cause.
function Away({away}) {
  if (!away) return html`<span class="fault small">${t('links.away')}</span>`;
  return html`<span class="fault small">${t('links.away_since', {time: time(away.since)})} <${Said} text=${away.text} /></span>
    ${away.hint && html`<span class="hint small">${t('task.mend')} <${Said} text=${away.hint} /></span>`}`;
}

function LinkTable({links}) {
  return html`<div class="scroll" tabindex="0" role="group" aria-label=${t('links.title')}><table class="cards links">
    <caption class="hidden">${t('links.title')}</caption>
    <thead><tr><th scope="col">${t('links.source')}</th><th scope="col">${t('links.state')}</th><th scope="col" class="num">${t('links.lag')}</th><th scope="col" class="num">${t('links.rate')}</th>
      <th scope="col" class="num">${t('links.spool')}</th><th scope="col" class="num">${t('links.position')}</th><th scope="col" class="num">${t('links.again')}</th></tr></thead>
    <tbody>${links.map((link) => html`<tr key=${link.source}>
      <th scope="row">${link.source}</th>
      <td class="cell-state"><${State} state=${link.state} colour=${toneOf(link)} />
        ${isAway(link) && html`<${Away} away=${link.source_away} />`}
        ${link.waiting_for && html`<span class="fault small">${t('links.waiting', {why: sentence(link.waiting_for)})}</span>`}
        ${link.error && html`<span class="fault small"><${Said} text=${link.error.text} /></span>`}</td>
      <td class="num" data-label=${t('links.lag')}>${seconds(lagOf(link))}<span class="sub">${bytesBehind(link) == null ? '' : bytes(bytesBehind(link))}</span></td>
      <td class="num" data-label=${t('links.rate')}>${rate(link.rates.commands_per_second)}<span class="sub">${bytes(link.rates.bytes_per_second)}/s</span></td>
      <td class="num" data-label=${t('links.spool')}>${bytes(link.spool.bytes)}<span class="sub">${t('links.disk', {size: bytes(link.spool.disk_bytes)})}</span></td>
      <td class="num" data-label=${t('links.position')}>${link.position.applied == null ? '–' : number(link.position.applied)}<span class="sub" title=${link.position.replid}>${link.position.replid?.slice(0, 8)}</span></td>
      <td class="num" data-label=${t('links.again')}>${t('links.again_counts', {source: number(link.reconnects), target: number(link.target_reconnects)})}<span class="sub">${t('links.again_full', {full: number(link.resyncs)})}</span></td>
    </tr>`)}</tbody></table></div>`;
}

function Kinds({made, total, chosen, choose}) {
  return html`<div class="counts" role="group" aria-label=${t('links.filter')}>
    <button id="links-all" aria-pressed=${chosen === ''} onClick=${() => choose('')}>${t('list.all')} <b>${number(total)}</b></button>
    ${made.map(({key, links}) => html`<button key=${key} id=${`links-${key}`} aria-pressed=${chosen === key} onClick=${() => choose(chosen === key ? '' : key)}>
      <span class=${`state ${toneOf(links[0])}`}><span class="dot" aria-hidden="true"></span>${kindText(key)}</span> <b>${number(links.length)}</b></button>`)}</div>`;
}

export function Links({task, status}) {
  const [search, setSearch] = useState('');
  const [chosen, setChosen] = useState('');
  const [all, setAll] = useState(false);
  const most = useSignal(narrow) ? LISTED_NARROW : LISTED;
  const many = status.links.length > EACH_MOST;
  const order = useMemo(() => (many ? ranked(status.links) : []), [status]);
  const made = bundles(order);
  // A kind that no link is of any more is not looked for any more.
  const kind = made.some(({key}) => key === chosen) ? chosen : '';
  const wanted = search.trim().toLowerCase();
  const shown = many ? order.filter((one) => (!kind || one.kind.key === kind) && one.link.source.toLowerCase().includes(wanted)).map((one) => one.link) : status.links;
  const listed = all || !many ? shown : shown.slice(0, most);
  const choose = (key) => {
    setChosen(key);
    setAll(false);
  };
  return html`<section class="card" aria-labelledby="links-title"><h2 id="links-title">${t('links.title')}</h2>
    ${many && html`<div class="bar tools"><input type="search" id="links-search" aria-label=${t('links.search')} placeholder=${t('links.search')} value=${search} onInput=${(event) => setSearch(event.target.value)} />
      <${Kinds} made=${made} total=${status.links.length} chosen=${kind} choose=${choose} /></div>`}
    ${shown.length > 0 ? html`<${LinkPicture} task=${task} status=${status} links=${shown} open=${choose} /><${LinkTable} links=${listed} />` : html`<p class="empty dim">${t('links.none')}</p>`}
    ${many && html`<div class="buttons pager"><span class="dim small" id="links-shown" role="status">${t('links.shown', {count: number(listed.length), all: number(status.links.length)})}</span>
      ${shown.length > most && html`<button id="links-more" class="small-button" aria-expanded=${all} onClick=${() => setAll(!all)}>${all ? t('links.fewer') : t('links.more', {count: number(shown.length)})}</button>`}</div>`}
  </section>`;
}
