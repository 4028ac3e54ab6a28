// Tokens, and who did what; for admins.
import {html, useEffect, useState, useTitle} from '../ui.js';
import {t, word} from '../words.js';
import {get, post, remove} from '../api.js';
import {time} from '../format.js';
import {Confirm} from '../parts/dialog.js';
import {More, usePages} from '../parts/pages.js';
import {Said} from '../parts/said.js';
import {Trouble, say} from '../parts/toast.js';

function NewToken({onMade}) {
  const [name, setName] = useState('');
  const [role, setRole] = useState('operator');
  const [days, setDays] = useState(0);
  const [made, setMade] = useState(null);
  const [error, setError] = useState(null);
  const submit = async (event) => {
    event.preventDefault();
    try {
      setMade(await post('/tokens', {name: name.trim(), role, expires_in_seconds: Math.round(days * 86400)}));
      setName('');
      setError(null);
      onMade();
    } catch (problem) {
      setError(problem);
    }
  };
  return html`<form class="fields" onSubmit=${submit}>
      <div class="field"><label for="token-name">${t('token.name')}</label><input id="token-name" required maxlength="100" value=${name} onInput=${(event) => setName(event.target.value)} /></div>
      <div class="field"><label for="token-role">${t('token.role')}</label><select id="token-role" value=${role} onChange=${(event) => setRole(event.target.value)}>
        ${['viewer', 'operator', 'admin'].map((one) => html`<option value=${one}>${word('role', one)}</option>`)}</select></div>
      <div class="field"><label for="token-days">${t('token.days')}</label><input id="token-days" type="number" min="0" max="36500" value=${days} onInput=${(event) => setDays(Number(event.target.value) || 0)} /></div>
      <div class="field end"><button class="primary" type="submit">${t('token.create')}</button></div></form>
    <${Trouble} error=${error} />
    ${made && html`<div class="notice" role="status"><p>${t('token.once')}</p><code class="token">${made.token}</code></div>`}`;
}

export function Access() {
  const [tokens, setTokens] = useState(null);
  const [error, setError] = useState(null);
  const [revoked, setRevoked] = useState(null);
  const [changes, setChanges] = useState(0);
  const audit = usePages('/audit', changes);
  useTitle(t('nav.access'));
  const read = () => get('/tokens').then((list) => {
    setTokens(list.items);
    setChanges((n) => n + 1);
  }, setError);
  useEffect(() => {
    read();
  }, []);
  return html`<div class="bar"><h1>${t('nav.access')}</h1></div><${Trouble} error=${error} />
    <section class="card" aria-labelledby="tokens-title"><h2 id="tokens-title">${t('token.title')}</h2><p class="dim">${t('token.text')}</p>
      <${NewToken} onMade=${read} />
      ${tokens?.length === 0 && html`<p class="dim">${t('token.none')}</p>`}
      ${tokens?.length > 0 && html`<div class="scroll" tabindex="0" role="group" aria-label=${t('token.title')}><table class="cards"><caption class="hidden">${t('token.title')}</caption>
        <thead><tr><th scope="col">${t('token.name')}</th><th scope="col">${t('token.role')}</th><th scope="col">${t('token.expires')}</th><th scope="col">${t('token.used')}</th><th scope="col"><span class="hidden">${t('token.revoke')}</span></th></tr></thead>
        <tbody>${tokens.map((token) => html`<tr key=${token.id}><th scope="row">${token.name}</th><td>${word('role', token.role)}</td>
          <td data-label=${t('token.expires')}>${token.expires ? time(token.expires) : t('token.never')}</td><td data-label=${t('token.used')}>${time(token.used)}</td>
          <td><button onClick=${() => setRevoked(token)}>${t('token.revoke')}</button></td></tr>`)}</tbody></table></div>`}</section>
    <section class="card" aria-labelledby="audit-title"><h2 id="audit-title">${t('audit.title')}</h2>
      <div class="scroll" tabindex="0" role="group" aria-label=${t('audit.title')}><table class="cards"><caption class="hidden">${t('audit.title')}</caption>
        <thead><tr><th scope="col">${t('audit.time')}</th><th scope="col">${t('audit.action')}</th><th scope="col">${t('audit.task')}</th><th scope="col">${t('audit.who')}</th><th scope="col">${t('audit.from')}</th><th scope="col">${t('audit.result')}</th></tr></thead>
        <tbody>${audit.items.map((entry) => html`<tr key=${entry.id}>
          <td class="nowrap">${time(entry.time)}</td><td title=${entry.action}>${word('act', entry.action)}</td><td data-label=${entry.name && t('audit.task')}>${entry.name}</td><td data-label=${t('audit.who')}>${entry.who}</td>
          <td data-label=${entry.from && t('audit.from')}>${entry.from}</td><td data-label=${t('audit.result')}><span class=${entry.result === 'ok' ? '' : 'fault'}>${word('result', entry.result)}</span>
            ${entry.refusal && html`<span class="sub"><${Said} text=${entry.refusal} /></span>`}</td></tr>`)}</tbody></table></div><${More} pages=${audit} /></section>
    ${revoked && html`<${Confirm} title=${t('confirm.revoke.title', {name: revoked.name})} text=${t('confirm.revoke.text')} action=${t('token.revoke')} danger=${true} onClose=${() => setRevoked(null)}
      run=${async () => {
        await remove(`/tokens/${revoked.id}`);
        say(t('done.revoke'));
        await read();
      }} />`}`;
}
