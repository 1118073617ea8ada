//! HTTP requests.

use std::time::Duration;

use callwright_scenario::http::{Request, Response, header, headers, json};
use callwright_scenario::{Assertion, Fault, Matcher, Value, nearest};
use rhai::{Dynamic, Map, NativeCallContext};

use crate::convert::{map_value, register as register_type, to_dynamic, to_span};
use crate::entry::{Api, Section};
use crate::here::{Here, Outcome};

/// How long a request may take unless it says otherwise.
const TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) const OPTIONS: [&str; 3] = ["headers", "body", "timeout"];

pub(super) fn register(api: &mut Api) {
    register_type::<Response>(&mut api.engine, "HttpResponse");
    api.section(Section::Http);
    api.add(
        "http(method: string, url: string) -> HttpResponse",
        "Sends an HTTP request and returns the response, whatever its status. Redirects are followed; certificates are \
         checked against the system's roots and `SSL_CERT_FILE`.",
        |context: NativeCallContext<'_>, method: &str, url: &str| send(&context, method, url, None),
    );
    api.add(
        "http(method: string, url: string, options: map) -> HttpResponse",
        "The same with `headers`, `body` (a string, or a map or an array, sent as JSON) and `timeout` (30 s).",
        |context: NativeCallContext<'_>, method: &str, url: &str, options: Map| send(&context, method, url, Some(&options)),
    );
    api.add(
        "get status(response: HttpResponse) -> int",
        "The status.",
        |context: NativeCallContext<'_>, response: &mut Response| -> Outcome<Dynamic> {
            Ok(Here::of(&context)?.read("HTTP status", i64::from(response.status)))
        },
    );
    api.add(
        "get body(response: HttpResponse) -> string",
        "The body.",
        |context: NativeCallContext<'_>, response: &mut Response| -> Outcome<Dynamic> {
            Ok(Here::of(&context)?.read("HTTP body", body(response)))
        },
    );
    api.add(
        "header(response: HttpResponse, name: string) -> ?",
        "A header, or `()`.",
        |context: NativeCallContext<'_>, response: &mut Response, name: &str| -> Outcome<Dynamic> {
            let value = header(&response.headers, name).map(str::to_owned);
            Ok(Here::of(&context)?.read(&format!("HTTP header {name}"), value))
        },
    );
    api.add(
        "json(response: HttpResponse) -> ?",
        "The body as JSON; `()` when it is empty.",
        |context: NativeCallContext<'_>, response: &mut Response| -> Outcome<Dynamic> {
            let here = Here::of(&context)?;
            here.check(json::at_path(&response.body, ""))
                .map(|value| to_dynamic(&value))
        },
    );
    api.add(
        "json(response: HttpResponse, path: string) -> ?",
        "The value at a dotted path in the JSON body: `\"data.items.0.id\"`. An error says how far the path goes.",
        |context: NativeCallContext<'_>, response: &mut Response, path: &str| -> Outcome<Dynamic> {
            let here = Here::of(&context)?;
            let value = here.check(json::at_path(&response.body, path))?;
            Ok(here.read(&format!("HTTP json {path}"), value))
        },
    );
    api.add(
        "expect_status(response: HttpResponse, code: int)",
        "Asserts the status.",
        |context: NativeCallContext<'_>, response: &mut Response, code: i64| -> Outcome<()> {
            let here = Here::of(&context)?;
            let assertion =
                Assertion::new(i64::from(response.status).into(), &here.at).describe("HTTP status");
            let outcome = assertion.check(&here.scene, &Matcher::Equals(code.into()), &here.at);
            here.check(outcome.map_err(|fault| fault.hint(format!("the body is {:?}", start(response)))))
        },
    );
    api.add(
        "describe(response: HttpResponse) -> string",
        "Status and body in short.",
        |response: &mut Response| format!("{} {}", response.status, start(response)),
    );
}

fn body(response: &Response) -> String {
    String::from_utf8_lossy(&response.body).into_owned()
}

fn start(response: &Response) -> String {
    body(response).chars().take(200).collect()
}

fn send(
    context: &NativeCallContext<'_>,
    method: &str,
    url: &str,
    options: Option<&Map>,
) -> Outcome<Response> {
    let here = Here::of(context)?;
    let verify = !here.scene.run().settings().insecure_http;
    if !verify && url.starts_with("https") {
        here.scene.warn(
            "--insecure-http: certificates of HTTP servers are not checked",
            &here.at,
        );
    }
    let mut request = Request {
        method: method.to_uppercase(),
        url: url.to_owned(),
        headers: Vec::new(),
        body: bytes::Bytes::new(),
        timeout: TIMEOUT,
        verify,
    };
    if let Some(options) = options {
        here.check(apply(&mut request, &map_value(options)))?;
    }
    here.check(here.scene.http(&request, &here.at))
}

fn apply(request: &mut Request, options: &Value) -> Result<(), Fault> {
    let Value::Map(options) = options else {
        return Ok(());
    };
    let mut json = false;
    for (key, value) in options {
        match (key.as_str(), value) {
            ("headers", Value::Map(_)) => {
                request.headers =
                    headers(value).map_err(|error| Fault::script(format!("http: `headers`: {error}")))?;
            }
            ("body", Value::Absent) => {}
            ("body", Value::Text(text)) => request.body = text.clone().into(),
            ("body", Value::Map(_) | Value::Array(_)) => {
                json = true;
                request.body = value.to_json().to_string().into();
            }
            ("timeout", Value::Text(text)) => request.timeout = to_span(text)?,
            ("headers", other) => {
                return Err(Fault::script(format!("http: `headers` is a map, not {other}")));
            }
            ("body", other) => {
                return Err(Fault::script(format!(
                    "http: `body` is a string, a map or an array, not {other}"
                )));
            }
            ("timeout", other) => {
                return Err(Fault::script(format!(
                    "http: `timeout` is a duration, not {other}"
                )));
            }
            (other, _) => {
                let near = nearest::question(other, OPTIONS);
                return Err(Fault::script(format!("http: unknown option `{other}`{near}")));
            }
        }
    }
    if json && header(&request.headers, "content-type").is_none() {
        request
            .headers
            .push(("content-type".to_owned(), "application/json".to_owned()));
    }
    Ok(())
}
