//! HTTP mock servers.

use std::sync::Arc;

use callwright_scenario::http::{Incoming, header, json, query_value};
use callwright_scenario::mock::{MockServer, PathPattern, Responder, response};
use callwright_scenario::{Fault, Value, context};
use rhai::{Array, Dynamic, FnPtr, Map, NativeCallContext};

use crate::closure::{Closure, Copier};
use crate::convert::{map_value, optional, register as register_type, to_dynamic, to_value};
use crate::entry::{Api, Section};
use crate::fault::from_error;
use crate::here::{Here, Outcome};
use crate::language;

type Request = Arc<Incoming>;

pub(super) fn register(api: &mut Api) {
    register_type::<MockServer>(&mut api.engine, "HttpMock");
    register_type::<Request>(&mut api.engine, "MockRequest");
    register_type::<PathPattern>(&mut api.engine, "PathPattern");
    api.section(Section::MockServers);
    servers(api);
    routes(api);
    recorded::<String>(api, "string");
    recorded::<PathPattern>(api, "PathPattern");
    responses(api);
    requests(api);
}

fn servers(api: &mut Api) {
    api.add(
        "mock_server() -> HttpMock",
        "Starts an HTTP server on a free port of loopback. It ends with its scenario; one of the top level, with its file.",
        |context: NativeCallContext<'_>| start(&context, None),
    );
    api.add(
        "mock_server(config: map) -> HttpMock",
        "The same with `port`.",
        |context: NativeCallContext<'_>, config: Map| start(&context, Some(&config)),
    );
    api.add(
        "get url(mock: HttpMock) -> string",
        "Its base URL, as `http://127.0.0.1:8080`.",
        |mock: &mut MockServer| mock.url(),
    );
    api.add(
        "get port(mock: HttpMock) -> int",
        "Its port.",
        |mock: &mut MockServer| i64::from(mock.port()),
    );
    api.add(
        "stop(mock: HttpMock)",
        "Stops it now.",
        |context: NativeCallContext<'_>, mock: &mut MockServer| -> Outcome<()> {
            let here = Here::of(&context)?;
            if !mock.stop() {
                here.scene
                    .note("stop: the mock server was stopped already", &here.at);
            }
            Ok(())
        },
    );
    api.add(
        "regex(pattern: string) -> PathPattern",
        "A regular expression for paths, anchored to the whole path: `regex(\"/calls/.*\")`.",
        |context: NativeCallContext<'_>, pattern: &str| -> Outcome<PathPattern> {
            let here = Here::of(&context)?;
            here.check(PathPattern::regex(pattern))
        },
    );
}

fn start(context: &NativeCallContext<'_>, config: Option<&Map>) -> Outcome<MockServer> {
    let here = Here::of(context)?;
    let config = config.map(map_value);
    here.check(MockServer::start(&here.scene, config.as_ref(), &here.at))
}

/// A path, exact or a pattern.
trait Path: rhai::Variant + Clone {
    fn pattern(self) -> PathPattern;
}

impl Path for String {
    fn pattern(self) -> PathPattern {
        PathPattern::Exact(self)
    }
}

impl Path for PathPattern {
    fn pattern(self) -> PathPattern {
        self
    }
}

fn routes(api: &mut Api) {
    let doc = "Answers a path with a fixed response: `#{ status, content_type, headers, body }`, as from `json_response` \
               and `text_response`. The same route again replaces.";
    api.add(
        "respond(mock: HttpMock, path: string, response: map)",
        doc,
        |context: NativeCallContext<'_>, mock: &mut MockServer, path: &str, map: Map| {
            fixed(&context, mock, None, PathPattern::Exact(path.to_owned()), &map)
        },
    );
    api.add(
        "respond(mock: HttpMock, path: PathPattern, response: map)",
        "The same for a `regex(…)`.",
        |context: NativeCallContext<'_>, mock: &mut MockServer, path: PathPattern, map: Map| {
            fixed(&context, mock, None, path, &map)
        },
    );
    api.add(
        "respond(mock: HttpMock, method: string, path: string, response: map)",
        "The same for one method; `\"*\"` is any.",
        |context: NativeCallContext<'_>, mock: &mut MockServer, method: &str, path: &str, map: Map| {
            fixed(
                &context,
                mock,
                Some(method),
                PathPattern::Exact(path.to_owned()),
                &map,
            )
        },
    );
    api.add(
        "respond(mock: HttpMock, method: string, path: PathPattern, response: map)",
        "The same for one method and a `regex(…)`.",
        |context: NativeCallContext<'_>, mock: &mut MockServer, method: &str, path: PathPattern, map: Map| {
            fixed(&context, mock, Some(method), path, &map)
        },
    );
    let doc = "Answers a path by a closure, `|req| json_response(#{ … })`. It runs while the scenario goes on, with its own \
               copy of captured variables. When it fails: 500, and the report shows the error.";
    api.add(
        "on(mock: HttpMock, path: string, responder: Fn)",
        doc,
        |context: NativeCallContext<'_>, mock: &mut MockServer, path: &str, body: FnPtr| {
            dynamic(&context, mock, None, PathPattern::Exact(path.to_owned()), &body)
        },
    );
    api.add(
        "on(mock: HttpMock, path: PathPattern, responder: Fn)",
        "The same for a `regex(…)`.",
        |context: NativeCallContext<'_>, mock: &mut MockServer, path: PathPattern, body: FnPtr| {
            dynamic(&context, mock, None, path, &body)
        },
    );
    api.add(
        "on(mock: HttpMock, method: string, path: string, responder: Fn)",
        "The same for one method; `\"*\"` is any.",
        |context: NativeCallContext<'_>, mock: &mut MockServer, method: &str, path: &str, body: FnPtr| {
            dynamic(
                &context,
                mock,
                Some(method),
                PathPattern::Exact(path.to_owned()),
                &body,
            )
        },
    );
    api.add(
        "on(mock: HttpMock, method: string, path: PathPattern, responder: Fn)",
        "The same for one method and a `regex(…)`.",
        |context: NativeCallContext<'_>,
         mock: &mut MockServer,
         method: &str,
         path: PathPattern,
         body: FnPtr| { dynamic(&context, mock, Some(method), path, &body) },
    );
}

fn fixed(
    context: &NativeCallContext<'_>,
    mock: &MockServer,
    method: Option<&str>,
    path: PathPattern,
    map: &Map,
) -> Outcome<()> {
    let here = Here::of(context)?;
    let answer = here.check(response(&map_value(map)))?;
    let responder: Responder = Arc::new(move |_| Ok(answer.clone()));
    mock.route(method, path, responder);
    Ok(())
}

fn dynamic(
    context: &NativeCallContext<'_>,
    mock: &MockServer,
    method: Option<&str>,
    path: PathPattern,
    body: &FnPtr,
) -> Outcome<()> {
    let at = Here::of(context)?.at;
    let closure = Closure::keep(context, body).copy(&mut Copier::default());
    let responder: Responder = Arc::new(move |request| {
        let scene = context::scene().ok_or_else(|| Fault::script("the scenario has ended"))?;
        let answer = closure
            .call(language::engine(), &[Dynamic::from(request)])
            .map_err(|error| from_error(&error, &scene))?;
        response(&to_value(&answer)).map_err(|fault| fault.at(&at))
    });
    mock.route(method, path, responder);
    Ok(())
}

fn recorded<P: Path>(api: &mut Api, kind: &str) {
    api.add(
        &format!("requests(mock: HttpMock, path: {kind}) -> array"),
        "The requests on a path, oldest first.",
        |mock: &mut MockServer, path: P| -> Array {
            mock.requests(&path.pattern())
                .into_iter()
                .map(Dynamic::from)
                .collect()
        },
    );
    api.add(
        &format!("last_request(mock: HttpMock, path: {kind}) -> MockRequest"),
        "The newest request on a path; an error when there is none yet.",
        |context: NativeCallContext<'_>, mock: &mut MockServer, path: P| -> Outcome<Request> {
            let here = Here::of(&context)?;
            here.check(mock.last_request(&path.pattern()))
        },
    );
    api.add(
        &format!("request_count(mock: HttpMock, path: {kind}) -> int"),
        "How many requests arrived on a path.",
        |context: NativeCallContext<'_>, mock: &mut MockServer, path: P| -> Outcome<Dynamic> {
            let here = Here::of(&context)?;
            let pattern = path.pattern();
            let dropped = mock.dropped();
            if dropped > 0 {
                let note = format!(
                    "request_count: {dropped} requests to {} were dropped, the oldest; only so many are kept and counted",
                    mock.url()
                );
                here.scene.note(note, &here.at);
            }
            let count = i64::try_from(mock.requests(&pattern).len()).unwrap_or(i64::MAX);
            Ok(here.read(&format!("requests on {pattern}"), count))
        },
    );
}

fn responses(api: &mut Api) {
    fn built(content_type: &str, body: Value) -> Map {
        let mut map = Map::new();
        map.insert("status".into(), 200_i64.into());
        map.insert("content_type".into(), content_type.to_owned().into());
        map.insert("body".into(), to_dynamic(&body));
        map
    }
    api.add(
        "json_response(body: ?) -> map",
        "A 200 response with a JSON body, for `respond` and `on`.",
        |body: Dynamic| {
            built(
                "application/json",
                Value::Text(to_value(&body).to_json().to_string()),
            )
        },
    );
    api.add(
        "text_response(body: string) -> map",
        "A 200 response with a text, for `respond` and `on`.",
        |body: &str| built("text/plain; charset=utf-8", body.into()),
    );
}

fn requests(api: &mut Api) {
    api.add(
        "get method(request: MockRequest) -> string",
        "Its method, in upper case.",
        |request: &mut Request| request.method.clone(),
    );
    api.add(
        "get path(request: MockRequest) -> string",
        "Its path, without the query.",
        |request: &mut Request| request.path.clone(),
    );
    api.add(
        "get body(request: MockRequest) -> string",
        "Its body.",
        |request: &mut Request| String::from_utf8_lossy(&request.body).into_owned(),
    );
    api.add(
        "header(request: MockRequest, name: string) -> ?",
        "A header, or `()`.",
        |context: NativeCallContext<'_>, request: &mut Request, name: &str| -> Outcome<Dynamic> {
            let here = Here::of(&context)?;
            Ok(here.read(
                &format!("request header {name}"),
                header(&request.headers, name).map(str::to_owned),
            ))
        },
    );
    api.add(
        "query(request: MockRequest, name: string) -> ?",
        "A query parameter, or `()`.",
        |request: &mut Request, name: &str| optional(query_value(&request.query, name)),
    );
    api.add(
        "json(request: MockRequest) -> ?",
        "The body as JSON; `()` when it is empty.",
        |context: NativeCallContext<'_>, request: &mut Request| -> Outcome<Dynamic> {
            let here = Here::of(&context)?;
            here.check(json::at_path(&request.body, ""))
                .map(|value| to_dynamic(&value))
        },
    );
    api.add(
        "json(request: MockRequest, path: string) -> ?",
        "The value at a dotted path in the JSON body.",
        |context: NativeCallContext<'_>, request: &mut Request, path: &str| -> Outcome<Dynamic> {
            let here = Here::of(&context)?;
            let value = here.check(json::at_path(&request.body, path))?;
            Ok(here.read(&format!("request json {path}"), value))
        },
    );
}
