//! What can be asked for.
//!
//! The wall page, the functions of supervisors and the description in OpenAPI are to stand beside `/api/v1`, under `/`,
//! `/api/v1/supervisor` and `/api/v1/openapi.json`.

use std::path::PathBuf;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{Request, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use callwright_acd::{AgentRequest, AgentState, Thresholds};
use callwright_wire::Time;
use serde::Deserialize;
use serde_json::{Value, json};

use super::BODY;
use super::error::Problem;
use super::live::Live;
use super::metrics::{Tally, text};
use super::{query, views};
use crate::store::{Health, Reader, StoreError};

/// What every request can use.
pub(super) struct Shared {
    pub(super) live: Live,
    pub(super) token: Option<String>,
    pub(super) database: PathBuf,
    pub(super) tally: Arc<Tally>,
}

type Answer = Result<Json<Value>, Problem>;
type Own = State<Arc<Shared>>;

pub(super) fn router(shared: Arc<Shared>) -> Router {
    let api = Router::new()
        .route("/metrics", get(metrics))
        .route("/api/v1", get(contents))
        .route("/api/v1/agents", get(agents))
        .route("/api/v1/agents/{name}", get(agent).post(set_agent))
        .route("/api/v1/queues", get(queues))
        .route("/api/v1/calls", get(calls))
        .route("/api/v1/sources", get(sources))
        .route("/api/v1/records", get(records))
        .route("/api/v1/records/{number}", get(record))
        .route("/api/v1/statistics", get(statistics))
        .layer(from_fn_with_state(shared.clone(), authorize));
    Router::new()
        .route("/healthz", get(health))
        .merge(api)
        .fallback(nothing)
        .method_not_allowed_fallback(not_so)
        .layer(DefaultBodyLimit::max(BODY))
        .with_state(shared)
}

/// Lets pass who shows the token, where one is wanted.
async fn authorize(State(shared): Own, request: Request<Body>, next: Next) -> Response {
    if let Some(token) = &shared.token {
        let shown = request
            .headers()
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "));
        if !shown.is_some_and(|shown| same(shown, token)) {
            let message = "this needs the token of [http] in the configuration: Authorization: Bearer TOKEN";
            return Problem::new(StatusCode::UNAUTHORIZED, message).into_response();
        }
    }
    next.run(request).await
}

/// Compares in a time that tells nothing of where they differ.
fn same(shown: &str, token: &str) -> bool {
    let pairs = shown.bytes().zip(token.bytes());
    shown.len() == token.len() && pairs.fold(0, |differs, (one, other)| differs | (one ^ other)) == 0
}

async fn nothing() -> Problem {
    Problem::not_found("there is nothing of that name; /api/v1 lists what there is")
}

async fn not_so() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "not with this method: GET everything, and POST /api/v1/agents/NAME",
    )
}

async fn health(State(shared): Own) -> Response {
    let body = |status: &str, reason: Option<String>| json!({ "status": status, "database": reason });
    match shared.live.health() {
        Ok(Health::Sound) => (StatusCode::OK, Json(body("ok", None))).into_response(),
        Ok(Health::Failing { reason }) => (
            StatusCode::SERVICE_UNAVAILABLE,
            Json(body("failing", Some(reason))),
        )
            .into_response(),
        Err(ending) => ending.into_response(),
    }
}

async fn metrics(State(shared): Own) -> Result<Response, Problem> {
    let text = text(&shared.live, &shared.tally)?;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

async fn contents() -> Json<Value> {
    Json(json!({
        "agents": "/api/v1/agents",
        "agent": "/api/v1/agents/{name}",
        "queues": "/api/v1/queues",
        "calls": "/api/v1/calls",
        "sources": "/api/v1/sources",
        "records": "/api/v1/records?from=&to=&queue=&agent=&before=&limit=",
        "record": "/api/v1/records/{number}",
        "statistics": "/api/v1/statistics?from=&to=&queue=",
        "health": "/healthz",
        "metrics": "/metrics",
    }))
}

/// Who asked for something lately, and who of them is not heard.
async fn sources(State(shared): Own) -> Answer {
    let sources = shared.live.ask(|server, _| server.machine().sources())?;
    let views: Vec<_> = sources
        .iter()
        .map(|source| views::source(source, shared.live.epoch()))
        .collect();
    Ok(Json(json!({ "sources": views })))
}

async fn agents(State(shared): Own) -> Answer {
    let agents = shared.live.ask(|server, _| server.machine().agents())?;
    let views: Vec<_> = agents
        .iter()
        .map(|agent| views::agent(agent, shared.live.epoch()))
        .collect();
    Ok(Json(json!({ "agents": views })))
}

async fn agent(State(shared): Own, Path(name): Path<String>) -> Answer {
    let agent = shared.live.agent(&name)?.ok_or_else(|| no_agent(&name))?;
    Ok(Json(views::agent(&agent, shared.live.epoch())))
}

fn no_agent(name: &str) -> Problem {
    Problem::not_found(format!("there is no agent {name:?}; /api/v1/agents lists them"))
}

/// What is asked of an agent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    state: Wanted,
    #[serde(default)]
    note: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Wanted {
    Ready,
    NotReady,
    WrapUpDone,
}

async fn set_agent(
    State(shared): Own,
    Path(name): Path<String>,
    asked: Result<Json<Asked>, JsonRejection>,
) -> Answer {
    let Json(asked) = asked.map_err(|rejection| {
        let what = "{\"state\": \"ready\"}, {\"state\": \"not_ready\", \"note\": \"lunch\"} or {\"state\": \"wrap_up_done\"}";
        Problem::new(rejection.status(), format!("{}; the body is {what}", rejection.body_text()))
    })?;
    let before = shared.live.agent(&name)?.ok_or_else(|| no_agent(&name))?;
    if before.state == AgentState::LoggedOut {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            format!("{name} is logged out: its phone has to register first"),
        ));
    }
    let to = match asked.state {
        Wanted::Ready => AgentRequest::Ready,
        Wanted::NotReady => AgentRequest::NotReady(asked.note),
        Wanted::WrapUpDone => AgentRequest::WrapUpDone,
    };
    if !shared.live.set_agent(&name, to).await? {
        return Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "it is so, and cannot be stored now: a restart would not know of it; /healthz tells why",
        ));
    }
    let agent = shared.live.agent(&name)?.ok_or_else(|| no_agent(&name))?;
    Ok(Json(views::agent(&agent, shared.live.epoch())))
}

async fn queues(State(shared): Own) -> Answer {
    let queues = shared.live.ask(|server, _| server.machine().queues())?;
    let views: Vec<_> = queues
        .iter()
        .map(|queue| views::queue(queue, shared.live.epoch()))
        .collect();
    Ok(Json(json!({ "queues": views })))
}

async fn calls(State(shared): Own) -> Answer {
    let calls = shared.live.ask(|server, _| server.machine().calls())?;
    let views: Vec<_> = calls
        .iter()
        .map(|call| views::call(call, shared.live.epoch()))
        .collect();
    Ok(Json(json!({ "calls": views })))
}

async fn records(State(shared): Own, asked: Result<Query<query::Records>, QueryRejection>) -> Answer {
    let query = query::read(asked)?.query()?;
    let limit = query.limit;
    let rows = read(&shared, move |reader| reader.records(&query)).await?;
    let next = rows.last().filter(|_| rows.len() == limit).map(|row| row.number);
    let views: Vec<_> = rows.iter().map(views::record).collect();
    Ok(Json(json!({ "records": views, "next": next })))
}

async fn record(State(shared): Own, Path(number): Path<String>) -> Answer {
    let none = || Problem::not_found(format!("there is no call {number:?}; /api/v1/records lists them"));
    let parsed: i64 = number.parse().map_err(|_| none())?;
    let found = read(&shared, move |reader| reader.record(parsed)).await?;
    let (row, facts) = found.ok_or_else(none)?;
    let mut view = views::record(&row);
    let events = facts.iter();
    view["events"] = events
        .map(|fact| views::event(fact, row.cause.as_deref()))
        .collect();
    Ok(Json(view))
}

async fn statistics(State(shared): Own, asked: Result<Query<query::Span>, QueryRejection>) -> Answer {
    let span = query::read(asked)?;
    let epoch = shared.live.epoch();
    let now = shared.live.ask(|_, now: Time| epoch.unix_nanos_at(now))?;
    let (from, to) = span.times(i64::try_from(now).unwrap_or(i64::MAX))?;
    let (asked, sums) = read(&shared, move |reader| {
        let thresholds = |service_level| Thresholds {
            service_level,
            ..Thresholds::default()
        };
        let queues = reader.queues()?.into_iter();
        let mut asked: Vec<_> = queues
            .filter(|queue| span.queue.as_ref().is_none_or(|wanted| *wanted == queue.name))
            .map(|queue| (Some(queue.name), thresholds(queue.service_level)))
            .collect();
        if span.queue.is_none() {
            asked.push((None, Thresholds::default()));
        }
        let sums = reader.statistics(from, to, &asked)?;
        Ok((asked, sums))
    })
    .await?;
    if asked.is_empty() {
        return Err(Problem::not_found(
            "there is no such queue; /api/v1/queues lists them",
        ));
    }
    let views: Vec<_> = asked
        .iter()
        .zip(&sums)
        .map(|((queue, thresholds), sum)| views::statistics(queue.as_deref(), thresholds.service_level, sum))
        .collect();
    Ok(Json(
        json!({ "from": views::time(from), "to": views::time(to), "statistics": views }),
    ))
}

/// Reads the database on a thread that may wait for it.
async fn read<R: Send + 'static>(
    shared: &Shared,
    read: impl FnOnce(&Reader) -> Result<R, StoreError> + Send + 'static,
) -> Result<R, Problem> {
    let database = shared.database.clone();
    let done = tokio::task::spawn_blocking(move || read(&Reader::open(&database)?)).await;
    match done {
        Ok(result) => Ok(result?),
        Err(_) => Err(Problem::ending()),
    }
}
