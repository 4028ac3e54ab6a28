// The links of a task with their figures.
import {html} from '../ui.js';
import {sentence, t} from '../words.js';
import {bytes, number, rate, seconds} from '../format.js';
import {Said} from './said.js';
import {State} from './state.js';

export function LinkTable({status}) {
  return html`<div class="scroll" tabindex="0" role="group" aria-label=${t('links.title')}><table class="cards">
    <caption class="hidden">${t('links.title')}</caption>
    <thead><tr><th scope="col">${t('links.source')}</th><th scope="col">${t('links.state')}</th><th scope="col" class="num">${t('links.lag')}</th><th scope="col" class="num">${t('links.rate')}</th>
      <th scope="col" class="num">${t('links.spool')}</th><th scope="col" class="num">${t('links.position')}</th><th scope="col" class="num">${t('links.again')}</th></tr></thead>
    <tbody>${status.links.map((link) => html`<tr key=${link.source}>
      <th scope="row">${link.source}</th>
      <td class="cell-state"><${State} state=${link.state} />
        ${!link.connected && ['snapshot', 'streaming'].includes(link.state) && html`<span class="fault small">${t('links.away')}</span>`}
        ${link.waiting_for && html`<span class="fault small">${t('links.waiting', {why: sentence(link.waiting_for)})}</span>`}
        ${link.error && html`<span class="fault small"><${Said} text=${link.error.text} /></span>`}</td>
      <td class="num" data-label=${t('links.lag')}>${seconds(link.lag.seconds)}<span class="sub">${link.lag.bytes == null ? '' : bytes(link.lag.bytes)}</span></td>
      <td class="num" data-label=${t('links.rate')}>${rate(link.rates.commands_per_second)}<span class="sub">${bytes(link.rates.bytes_per_second)}/s</span></td>
      <td class="num" data-label=${t('links.spool')}>${bytes(link.spool.bytes)}<span class="sub">${t('links.disk', {size: bytes(link.spool.disk_bytes)})}</span></td>
      <td class="num" data-label=${t('links.position')}>${link.position.applied == null ? '–' : number(link.position.applied)}<span class="sub" title=${link.position.replid}>${link.position.replid?.slice(0, 8)}</span></td>
      <td class="num" data-label=${t('links.again')}>${t('links.again_counts', {source: number(link.reconnects), target: number(link.target_reconnects), full: number(link.resyncs)})}</td>
    </tr>`)}</tbody></table></div>`;
}
