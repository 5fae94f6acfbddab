//! `/v1/policies`: the policies there are, and how more get there.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use mosel_sandbox::Description;
use serde_json::{Value, json};

use super::api_error::ApiError;
use super::app::{App, blocking};
use super::body::{self, Bounds, Received};
use super::caller::Caller;
use super::compression::{self, Coding};
use super::parsed_job;
use crate::config::Http;
use crate::error_code::ErrorCode;
use crate::policies::control::{Policies, PushedPolicy};
use crate::policies::store::StoredPolicy;

/// `GET /v1/policies`
pub(super) async fn list(State(app): State<Arc<App>>) -> Result<Json<Value>, ApiError> {
    blocking(app, |service| {
        let (active, shadow) = (service.policies.active().tag, service.policies.shadow());
        let shadow = shadow.map(|shadow| shadow.name.clone());
        let listed = service.policies.list().into_iter().map(|(listed, description)| {
            let StoredPolicy { name, source, hash, bytes, error } = listed;
            json!({
                "active": name == active.name,
                "shadow": Some(&name) == shadow.as_ref(),
                "name": name,
                "source": source.word(),
                "hash": hash,
                "bytes": bytes,
                "version": description.as_ref().map(|description| &description.version),
                "summary": description.as_ref().map(|description| &description.summary),
                "error": error,
            })
        });
        Ok(Json(json!({ "policies": listed.collect::<Vec<Value>>() })))
    })
    .await
}

/// `PUT /v1/policies/{name}`
pub(super) async fn push(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    request: Request<Body>,
) -> Result<Response, ApiError> {
    let policies = &app.open()?.policies;
    refuse_forms(request.headers())?;
    let announced = body::announced(request.headers()).unwrap_or(0).min(policies.most_component_bytes());
    // it looks at a folder, whose disk may hang
    let of_this_name = name.clone();
    blocking(app.clone(), move |service| Ok(service.policies.check_room(&of_this_name, announced)?)).await?;
    let bounds = bounds(&app.config.http, policies);
    let coding = compression::coding(request.headers())?;
    let share_key = Caller::share_key_of(&request);
    let received = body::receive(request, bounds, policies.receiving()).await?;
    let unpack = move || {
        let Received { bytes, mut memory } = received;
        Ok::<_, ApiError>((compression::unpacked(coding, bytes, &mut memory)?, memory))
    };
    let (component, memory) = match coding {
        Coding::Identity => unpack()?,
        _ => app.work.run(share_key, announced as usize, unpack).await?,
    };
    blocking(app, move |service| {
        let bytes = component.len();
        let pushed = service.policies.push(&name, component)?;
        drop(memory);
        tracing::info!(policy = name, hash = pushed.loaded.hash(), bytes, "a policy was pushed");
        let status = if pushed.replaced { StatusCode::OK } else { StatusCode::CREATED };
        Ok((status, Json(describe(&name, bytes, &pushed))).into_response())
    })
    .await
}

/// `DELETE /v1/policies/{name}`
pub(super) async fn remove(State(app): State<Arc<App>>, Path(name): Path<String>) -> Result<Json<Value>, ApiError> {
    blocking(app, move |service| {
        service.policies.remove(&name)?;
        tracing::info!(policy = name, "a policy was deleted");
        Ok(Json(json!({ "name": name, "deleted": true })))
    })
    .await
}

fn bounds(http: &Http, policies: &Policies) -> Bounds {
    let full = (ErrorCode::UploadsFull, "other components are being received and fill the memory set aside for them");
    Bounds { most_bytes: policies.most_component_bytes(), timeout: http.body_timeout(), full }
}

/// A component comes as it is.
fn refuse_forms(headers: &HeaderMap) -> Result<(), ApiError> {
    if !headers.contains_key(header::CONTENT_TYPE) || parsed_job::form(headers).is_err() {
        return Ok(());
    }
    let came = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    Err(parsed_job::unsupported("application/wasm and the component as it is", came))
}

fn describe(name: &str, bytes: usize, pushed: &PushedPolicy) -> Value {
    let PushedPolicy { loaded, older_in_place, .. } = pushed;
    let Description { version, summary, stateful, feedback, eager, settings_schema, .. } = loaded.description();
    let mut answer = json!({
        "name": name,
        "hash": loaded.hash(),
        "bytes": bytes,
        "version": version,
        "summary": summary,
        "stateful": stateful,
        "feedback": feedback,
        "eager": eager,
        "settings_schema": schema(settings_schema),
    });
    if *older_in_place {
        answer["active"] = json!("an older component; PUT /v1/policy to use this one");
    }
    answer
}

/// As JSON where it is some; the policy may have written anything.
fn schema(text: &str) -> Value {
    if text.is_empty() {
        return Value::Null;
    }
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}
