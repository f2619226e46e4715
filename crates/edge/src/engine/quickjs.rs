//! Runs CloudFront Functions: QuickJS, restricted to what the runtime `cloudfront-js-2.0` has and to its limits.
//!
//! Each run starts from nothing, as on AWS. Its length is counted in steps (calls and loop iterations), not in
//! time, so that a slow or busy machine changes no result; how many steps fit into AWS's one millisecond is not
//! documented, and the limit here is generous. Sources:
//! <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/functions-javascript-runtime-20.html>,
//! <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cloudfront-function-restrictions.html>.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::{Run, Store, subset};
use rquickjs::context::intrinsic;
use rquickjs::promise::MaybePromise;
use rquickjs::{CatchResultExt, CaughtError, Context, Ctx, Function, Object, Runtime, Value};

/// Memory that a function may use in addition to the engine itself.
const MOST_MEMORY: usize = 2 << 20;
/// A stack that fits into that of any thread.
const LARGEST_STACK: usize = 256 << 10;
/// Number of steps after which the engine asks whether to continue.
const STEPS: u32 = 10_000;
/// How often it may continue.
const MOST_INTERRUPTIONS: u32 = 10;

/// What AWS's runtime has; anything else is missing here as well.
type Intrinsics = (
    intrinsic::Date,
    intrinsic::Eval,
    intrinsic::RegExpCompiler,
    intrinsic::RegExp,
    intrinsic::Json,
    intrinsic::TypedArrays,
    intrinsic::Promise,
);

/// Runs the handler of `code` with an event in JSON. `cf.kvs()` reads `store`.
pub(super) fn run(code: &str, event: &str, store: Option<Store>) -> Run {
    let (logs, interruptions) = (Rc::new(RefCell::new(Vec::new())), Rc::new(Cell::new(0)));
    let output = start(Rc::clone(&interruptions))
        .map_err(|error| error.to_string())
        .and_then(|context| context.with(|ctx| handle(&ctx, code, event, store, &logs)));
    let output = match output {
        Err(_) if interruptions.get() > MOST_INTERRUPTIONS => {
            Err(format!("The function took more than {} steps.", MOST_INTERRUPTIONS * STEPS))
        }
        output => output,
    };
    let utilization = (interruptions.get() * 100 / MOST_INTERRUPTIONS).clamp(1, 100);
    Run { output, logs: logs.take(), utilization }
}

fn start(interruptions: Rc<Cell<u32>>) -> rquickjs::Result<Context> {
    let runtime = Runtime::new()?;
    runtime.set_max_stack_size(LARGEST_STACK);
    let context = Context::custom::<Intrinsics>(&runtime)?;
    let taken = usize::try_from(runtime.memory_usage().malloc_size).unwrap_or_default();
    runtime.set_memory_limit(taken + MOST_MEMORY);
    runtime.set_interrupt_handler(Some(Box::new(move || {
        interruptions.set(interruptions.get() + 1);
        interruptions.get() > MOST_INTERRUPTIONS
    })));
    Ok(context)
}

fn handle(
    ctx: &Ctx<'_>,
    code: &str,
    event: &str,
    store: Option<Store>,
    logs: &Rc<RefCell<Vec<String>>>,
) -> Result<String, String> {
    let (code, imported) = without_import(code);
    subset::check(&code)?;
    prepare(ctx, imported, store, logs).catch(ctx).map_err(|error| said(&error))?;
    ctx.eval::<(), _>(code).catch(ctx).map_err(|error| said(&error))?;
    let handler: Function = ctx.eval("handler").catch(ctx).map_err(|_| "The function has no handler.".to_owned())?;
    let event = ctx.json_parse(event).catch(ctx).map_err(|error| format!("The event is no JSON: {}", said(&error)))?;
    let answer: MaybePromise = handler.call((event,)).catch(ctx).map_err(|error| said(&error))?;
    let answer: Value = answer.finish().catch(ctx).map_err(|error| match error {
        CaughtError::Error(rquickjs::Error::WouldBlock) => "The handler's promise is never fulfilled.".to_owned(),
        error => said(&error),
    })?;
    let text = ctx.json_stringify(answer).catch(ctx).map_err(|error| said(&error))?;
    let text = text.map(|text| text.to_string()).transpose().map_err(|error| error.to_string())?;
    text.ok_or_else(|| "The function returned nothing.".to_owned())
}

/// The text of an exception.
fn said(error: &CaughtError<'_>) -> String {
    match error {
        CaughtError::Exception(exception) => {
            let name: String = exception.as_object().get("name").unwrap_or_else(|_| "Error".to_owned());
            format!("{name}: {}", exception.message().unwrap_or_default())
        }
        CaughtError::Value(value) => match value.as_string().and_then(|text| text.to_string().ok()) {
            Some(text) => text,
            None => "The function threw something that is no error.".to_owned(),
        },
        CaughtError::Error(error) => error.to_string(),
    }
}

/// The code as a script, and the name under which it imports CloudFront's module. Line numbers do not change.
fn without_import(code: &str) -> (String, Option<&str>) {
    let mut imported = None;
    let lines = code.split_inclusive('\n').map(|line| match name_imported(line) {
        Some(name) if imported.is_none() => {
            imported = Some(name);
            "\n"
        }
        _ => line,
    });
    (lines.collect(), imported)
}

/// `cf` in `import cf from 'cloudfront';`.
fn name_imported(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("import ")?.trim_end().trim_end_matches(';');
    let (name, module) = rest.split_once(" from ")?;
    let is_name = name.trim().chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '$');
    (is_name && matches!(module.trim(), "'cloudfront'" | "\"cloudfront\"")).then(|| name.trim())
}

/// Removes what functions do not have, and adds what only they have.
fn prepare(
    ctx: &Ctx<'_>,
    imported: Option<&str>,
    store: Option<Store>,
    logs: &Rc<RefCell<Vec<String>>>,
) -> rquickjs::Result<()> {
    let tools = Object::new(ctx.clone())?;
    let logs = Rc::clone(logs);
    tools.set("log", Function::new(ctx.clone(), move |line: String| logs.borrow_mut().push(line))?)?;
    if let Some(store) = store {
        let count = store.len();
        tools.set("get", Function::new(ctx.clone(), move |key: String| store.get(&key).cloned())?)?;
        tools.set("count", count)?;
    }
    let prelude: Function = ctx.eval(PRELUDE)?;
    let cloudfront: Object = prelude.call((tools,))?;
    match imported {
        Some(name) => ctx.globals().set(name, cloudfront),
        None => Ok(()),
    }
}

/// `tools` has `log` and, if there is a store, `get` and `count`.
const PRELUDE: &str = r"(function (tools) {
  const refuse = function () { throw new EvalError('Code generation from strings disallowed for this context'); };
  [function () {}, async function () {}, function* () {}, async function* () {}].forEach(function (one) {
    Object.defineProperty(Object.getPrototypeOf(one), 'constructor', {value: refuse});
  });
  ['eval', 'Function', 'queueMicrotask'].forEach(function (name) { delete globalThis[name]; });
  const text = function (value) { return typeof value === 'string' ? value : String(JSON.stringify(value)); };
  const log = function () { tools.log(Array.prototype.map.call(arguments, text).join(' ')); };
  globalThis.console = {log: log, error: log};
  return {kvs: function () {
    if (!tools.get) throw new Error('KvsStoreNotAssociated');
    const read = function (key, options) {
      const value = tools.get(String(key));
      if (value === undefined) throw new Error('KeyNotFound');
      return options && options.format === 'json' ? JSON.parse(value) : value;
    };
    return {
      get: async function (key, options) { return read(key, options); },
      exists: async function (key) { return tools.get(String(key)) !== undefined; },
      count: async function () { return tools.count; }
    };
  }};
})";
