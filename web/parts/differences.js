// What differs between both sides, page by page and kind by kind.
import {html, marked, useEffect, useState} from '../ui.js';
import {t, word} from '../words.js';
import {get, taskPath} from '../api.js';
import {number} from '../format.js';
import {Said} from './said.js';
import {Trouble} from './toast.js';

const PAGE = 50;

// Keys that are no text come as base64.
const keyText = (key) => (key == null ? '' : typeof key === 'object' ? `base64:${key.b64}` : key);
const placeText = (db, key) => `${t('databases.number', {number: db})} ${keyText(key)}`;
// Where the task gives it another name or database at the target.
const moved = (one) => (one.target_db !== undefined && (one.target_db !== one.db || keyText(one.target_key) !== keyText(one.key)) ? placeText(one.target_db, one.target_key) : null);

// {missing: 3, ...} of a verification's summary, without what there is none of.
export function countsOf(summary) {
  const counts = {...summary.differences, undecided: summary.undecided ?? 0};
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0));
}

function Kinds({counts, total, chosen, choose}) {
  return html`<div class="counts" role="group" aria-label=${t('verify.filter')}>
    <button aria-pressed=${!chosen} onClick=${() => choose('')}>${t('list.all')} <b>${number(total)}</b></button>
    ${Object.entries(counts).map(([kind, count]) => html`<button key=${kind} id=${`kind-${kind}`} aria-pressed=${chosen === kind} onClick=${() => choose(kind)}>${word('difference', kind)} <b>${number(count)}</b></button>`)}</div>`;
}

// Pages are found by where the one before has ended: {starts: of all pages up to this one, items, next}.
const begin = {starts: [0], items: null, next: null};

// result: of the verification whose differences they are; replaced: called when there is a newer one.
export function Differences({task, result, replaced}) {
  const [kind, setKind] = useState('');
  const [page, setPage] = useState(begin);
  const [error, setError] = useState(null);
  const counts = countsOf(result.result.summary);
  const total = kind ? counts[kind] ?? 0 : Object.values(counts).reduce((all, count) => all + count, 0);
  const read = (starts, of = kind) => get(taskPath(task.id, `/verify/differences?limit=${PAGE}${starts.at(-1) ? `&after=${starts.at(-1)}` : ''}${of ? `&kind=${of}` : ''}`)).then((got) => {
    setError(null);
    if (got.job === result.job) {
      setPage({starts, items: got.items, next: got.next});
      return;
    }
    // There is a newer one; or the disk did not take them, and the result has the first ones.
    setPage({starts: [0], items: (result.result.differences ?? []).filter((one) => !of || one.kind === of), next: null});
    replaced();
  }, setError);
  useEffect(() => {
    setKind('');
    read([0], '');
  }, [result.job]);
  const choose = (of) => {
    setKind(of);
    read([0], of);
  };
  const first = (page.starts.length - 1) * PAGE;
  const last = first + (page.items?.length ?? 0);
  return html`<div class="differences">
    <div class="bar"><${Kinds} counts=${counts} total=${Object.values(counts).reduce((all, count) => all + count, 0)} chosen=${kind} choose=${choose} />
      <div class="buttons pager"><span class="dim small" id="differences-shown" role="status">${page.items && t('verify.shown', {first: number(last ? first + 1 : 0), last: number(last), all: number(total)})}</span>
        <button id="page-back" disabled=${page.starts.length < 2} onClick=${() => read(page.starts.slice(0, -1))}>${t('verify.page_back')}</button>
        <button id="page-next" disabled=${!page.next} onClick=${() => read([...page.starts, page.next])}>${t('verify.page_next')}</button></div></div>
    <${Trouble} error=${error} />
    ${page.items && html`<div class="scroll" tabindex="0" role="group" aria-label=${t('verify.differences')}><table class="cards">
      <caption class="hidden">${t('verify.differences')}</caption>
      <thead><tr><th scope="col">${t('verify.key')}</th><th scope="col">${t('verify.kind')}</th><th scope="col" class="num">${t('verify.db')}</th><th scope="col">${t('verify.detail')}</th><th scope="col">${t('verify.repaired')}</th></tr></thead>
      <tbody>${page.items.map((one, at) => html`<tr key=${first + at}>
        <th scope="row"><code>${keyText(one.key)}</code>${moved(one) && html`<span class="sub">${t('verify.target_key', {key: moved(one)})}</span>`}</th><td>${word('difference', one.kind)}</td><td class="num" data-label=${t('verify.db')}>${one.db}</td>
        <td><${Said} text=${one.difference} /></td><td data-label=${t('verify.repaired')}>${one.repaired ? t('yes') : t('no')}</td></tr>`)}</tbody></table></div>`}
    ${page.items && !page.next && last < total && html`<p class="dim small">${marked(t('verify.more', {kept: number(last)}))}</p>`}</div>`;
}
