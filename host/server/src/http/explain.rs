//! `/v1/jobs/{id}/explain`: a job's choices over time, who changed them, why, and what it would have cost otherwise.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use mosel_journal::{Naming, Story, tell};
use serde_json::{Value, json};

use super::jobs::parse_id;
use super::refusal::wire_id;
use super::{App, Fault};
use crate::explained;

/// `GET /v1/jobs/{id}/explain`
pub(super) async fn show(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Json<Value>, Fault> {
    let service = app.service()?;
    let job = parse_id(&id)?;
    let models: Vec<_> = service.models.iter().map(|model| model.matrix.clone()).collect();
    let naming = Naming::new("j-", &models);
    let look = |story: &Story| {
        json!({
            "id": wire_id(job), "ended": story.has_ended(), "sentences": tell(story, &naming),
            "changes": explained::changes(story, &naming), "left_out": story.left_out,
        })
    };
    let unknown = || Fault::not_found("unknown_job", format!("there is no story of a job {id}, or it ended long ago"));
    service.chronicle.story(job, look).map(Json).ok_or_else(unknown)
}
