// Advanced settings: the snapshot, what becomes of a target that is not empty, and every other option, as the daemon's table tells.
import {html, marked, useEffect, useState} from '../ui.js';
import {language, t, word} from '../words.js';
import {get} from '../api.js';
import {parse, read, show, write} from '../document.js';
import {Choice, Field, useFieldProps, wrongs} from './field.js';
import {Trouble} from './toast.js';

// What other steps show.
const elsewhere = /^(name|snapshot|heartbeat|filter\..*|limit\..*|target\.(existing|database_map)|source\.databases|(source|target)\.(mode|address|username|password|path|master|tls|tls\.ca|tls\.insecure|sentinel\.password|sentinel\.tls))$/;

// Commits what was typed when the field is left: half a list is none.
function Input({option, value, change}) {
  const [wrong, setWrong] = useState(false);
  const props = useFieldProps(option.path, true);
  return html`<input ...${props} type=${option.type === 'secret' ? 'password' : 'text'} autocomplete="off" spellcheck="false" aria-invalid=${wrong || props['aria-invalid'] || null}
    placeholder=${option.default ?? option.example?.replace(/^[\w.[\]]+: /, '')} value=${show(value)} onChange=${(event) => {
      try {
        change(event.target.value === '' ? undefined : option.type === 'secret' || option.type === 'string' ? event.target.value : parse(event.target.value, option.structured));
        setWrong(false);
      } catch {
        setWrong(true);
      }
    }} />${wrong && html`<p class="wrong" role="alert">${t('option.unreadable')}</p>`}`;
}

function Option({option, document, change}) {
  const value = read(document, option.path);
  const set = (next) => change(write(document, option.path, next));
  const fallback = t('option.default', {value: option.default ?? '–'});
  const label = html`<code>${option.path}</code>${option.lasting && html` <span class="tag" title=${t('option.lasting')}>${t('option.lasting_tag')}</span>`}`;
  if (option.type === 'boolean' || (option.type === 'enum' && option.values)) {
    const choices = option.type === 'boolean' ? ['true', 'false'] : option.values;
    return html`<${Choice} path=${option.path} label=${label} hint=${marked(option.sentence)} value=${value === undefined ? '' : String(value)}
      change=${(text) => set(text === '' ? undefined : option.type === 'boolean' ? text === 'true' : text)} choices=${[['', fallback], ...choices.map((one) => [one, one])]} />`;
  }
  return html`<${Field} path=${option.path} label=${label} hint=${marked(option.sentence)} wide=${option.structured}><${Input} option=${option} value=${value} change=${set} /><//>`;
}

export function Advanced({document, change}) {
  const [options, setOptions] = useState([]);
  const [error, setError] = useState(null);
  const [search, setSearch] = useState('');
  useEffect(() => {
    get(`/options?lang=${language.get()}`).then((page) => setOptions(page.options), setError);
  }, []);
  const wanted = search.trim().toLowerCase();
  const groups = new Map();
  for (const option of options) {
    if (elsewhere.test(option.path) || (wanted && !`${option.path} ${option.sentence}`.toLowerCase().includes(wanted))) continue;
    groups.set(option.group, [...(groups.get(option.group) ?? []), option]);
  }
  const isWrong = (group) => group.some((option) => Object.keys(wrongs.get()).some((path) => path.startsWith(option.path)));
  const isSet = (group) => group.filter((option) => read(document, option.path) !== undefined).length;
  return html`<fieldset class="card"><legend>${t('advanced.initial')}</legend>
      <label class="check-line"><input type="checkbox" id="snapshot" checked=${document.snapshot !== false} onChange=${(event) => change(write(document, 'snapshot', event.target.checked ? undefined : false))} />
        <span><b>${t('advanced.snapshot')}</b><br /><span class="dim small">${t('advanced.snapshot_text')}</span></span></label>
      <div class="fields"><${Choice} path="target.existing" label=${t('advanced.existing')} hint=${t('advanced.existing_text')} value=${read(document, 'target.existing') ?? 'fail'}
        change=${(value) => change(write(document, 'target.existing', value === 'fail' ? undefined : value))} choices=${['fail', 'merge', 'flush'].map((one) => [one, t(`existing.${one}`)])} /></div></fieldset>
    <div class="card"><div class="bar"><h2>${t('advanced.more')}</h2><input type="search" aria-label=${t('advanced.search')} placeholder=${t('advanced.search')} value=${search} onInput=${(event) => setSearch(event.target.value)} /></div>
      <${Trouble} error=${error} />
      ${[...groups].map(([group, list]) => html`<details key=${group} id=${`options-${group}`} open=${Boolean(wanted) || isWrong(list)}><summary>${group ? word('group', group) : t('advanced.task')} <span class="dim small">${t('advanced.options', {count: list.length})}${isSet(list) ? ` · ${t('advanced.set', {count: isSet(list)})}` : ''}</span></summary>
        <div class="fields">${list.map((option) => html`<${Option} key=${option.path} option=${option} document=${document} change=${change} />`)}</div></details>`)}
    </div>`;
}
