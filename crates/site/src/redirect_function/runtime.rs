//! The JavaScript of a site's function around the table of its rules.

/// The part that does not depend on the rules. Locations that are paths begin with one slash: two lead to another
/// host, which the text of a line may do, but never a captured part.
pub(super) const RUNTIME: &str = r"
const words = {301: 'Moved Permanently', 302: 'Found', 303: 'See Other', 307: 'Temporary Redirect', 308: 'Permanent Redirect'};

function text(query) {
  const pairs = [];
  for (const name in query) {
    (query[name].multiValue || [query[name]]).forEach(function (one) { pairs.push(one.value === '' ? name : name + '=' + one.value); });
  }
  return pairs.length ? '?' + pairs.join('&') : '';
}

function parse(text) {
  const query = Object.create(null);
  text.split('&').forEach(function (pair) {
    if (!pair) return;
    const at = pair.indexOf('='), name = at < 0 ? pair : pair.slice(0, at), value = at < 0 ? '' : pair.slice(at + 1);
    const known = query[name];
    if (!known) query[name] = {value: value};
    else (known.multiValue = known.multiValue || [{value: known.value}]).push({value: value});
  });
  return query;
}

function follow(request, to) {
  const url = /^(?:(?:https?:)?\/\/([^\/?]*))?([^?]*)\??(.*)$/i.exec(to);
  return {host: url[1] === undefined ? request.host : url[1].toLowerCase(), uri: url[2] || '/', query: parse(url[3])SAME_VISITOR};
}

ASYNC function find(request) {
  const uri = upper(request.uri), bare = uri.length > 2 && uri.endsWith('/') ? uri.slice(0, -1) : uri;
  let value = (AWAIT get(PATH)) || '';
  const simple = value.replace(/^f/, '');
  if (simple) return /^\d/.test(simple) ? [+simple.slice(0, 3), simple.slice(3), true] : [301, simple, true];
PATTERNS}

ASYNC function step(request, byRules) {
  const found = byRules ? AWAIT find(request) : undefined;
  if (found && found[0] > 200) {
    const at = found[1].indexOf('#'), end = at < 0 ? found[1].length : at;
    let to = found[1].slice(0, end);
    if (found[2] && to.indexOf('?') < 0) to += text(request.query);
    // What is much longer than any URL is not taken apart: a function has little memory.
    const next = to.length > MUCH_LONGER ? {host: '', uri: to, query: {}} : follow(request, to);
    if (next.host !== request.host || next.uri !== request.uri || text(next.query) !== text(request.query)) {
      return [found[0], to + found[1].slice(end), next, true];
    }
  } else if (found && found[0] === 200) {
    const to = found[1].split(/[?#]/)[0];
    return [200, INDEX_OF(to)];
  }
DIRECTORY  return [200, request.uri];
}

ASYNC function handler(event) {
  const request = event.request, headers = request.headers;
  const asked = {host: headers.host.value.toLowerCase(), uri: request.uri, query: request.querystringTHIS_VISITOR};
  let now = AWAIT step(asked, true), next = now[2];
  for (let hops = 0; hops < HOPS && now[3] && next && next.uri.length + text(next.query).length <= LONGEST; hops++) next = (AWAIT step(next, true))[2];
  // It would be redirected again and again, or to where no viewer can go.
  if (now[3] && next) now = AWAIT step(asked, false);
  if (now[0] === 200) {
    request.uri = now[1];
    return request;
  }
  return {statusCode: now[0], statusDescription: words[now[0]], headers: {location: {value: now[1]}}};
}
";

/// Tries the patterns one after another.
pub(super) const PATTERNS: &str = r"SECOND  const isFile = FILE;
  for (let at = 0; at < patterns.length; at++) {
    const rule = patterns[at], match = isFile && !rule[3] ? null : rule[0].exec(uri);
    if (!match || !isHost(request.host, rule[4])) continue;
    const query = rule[5] || [];
    if (query.some(function (one) {
      const found = request.query[one[0]];
      if (!found || found.value === undefined || (one[1] !== null && found.value !== one[1])) return true;
      if (one[1] === null) match.push(found.value);
      return false;
    })) continue;
VISITORS    let to = fill(rule[2], match);
    if (to[0] === '/' && rule[2][0].slice(0, 2) !== '//') to = to.replace(/^[\/\\]+/, '/');
    return [rule[1], to, !query.length];
  }
";

pub(super) const SECOND: &str = "  if (uri !== bare) value = (AWAIT get(bare)) || '';\n";
pub(super) const VISITORS: &str = r"    let others = false, unknown = false;
    (rule[6] || []).forEach(function (one) {
      const is = one[0] ? request.country : request.language;
      if (one[0] && !is) unknown = true;
      else if (one[1].indexOf(is) < 0 && (one[0] || one[1].indexOf(is.split('-')[0]) < 0)) others = true;
    });
    if (others) continue;
    if (unknown) return [0];
";
pub(super) const THIS_VISITOR: &str = r",
    country: (headers['cloudfront-viewer-country'] || {}).value,
    language: (headers['accept-language'] || {value: ''}).value.split(/[,;]/)[0].trim().toLowerCase()";

pub(super) const DIRECTORY: &str = r"  if (request.uri.endsWith('/')) return [200, request.uri + 'index.html'];
  if (!(found && !found[0]) && !hasDot(request.uri) && !request.uri.startsWith('/.well-known/') && !plain[upper(request.uri)]) {
    const to = 'https://' + request.host + request.uri + '/' + text(request.query);
    return [301, to, follow(request, to)];
  }
";
pub(super) const DIRECTORY_INDEX: &str = r"
// Files without an extension, which are no directories.
const plain = {PLAIN};

function indexOf(to) {
  return hasDot(to) || plain[to] ? to : to + (to.endsWith('/') ? '' : '/') + 'index.html';
}
";
pub(super) const HAS_DOT: &str = r"
function hasDot(path) {
  return path.split('/').pop().indexOf('.') >= 0;
}
";
