//! A model as JSON.

use mosel_core::StrategyMatrix;
use mosel_models::InputKind;
use serde_json::{Map, Value, json};

use super::api_error::ApiError;
use crate::error_code::ErrorCode;
use crate::model_registry::ModelSet;
use crate::served::ServedModel;
use crate::service::Service;

/// What a model expects, what was measured about it, and where it is lost.
pub(super) fn describe(service: &Service, model: &ServedModel) -> Value {
    let profiles: Map<String, Value> =
        variants(service, model).map(|(kind, variant)| (kind.into(), json!(variant.profile().id))).collect();
    let is_it = |id| model.variants.iter().any(|variant| variant.variant() == id);
    let lost_on: Vec<u32> = service
        .driver
        .query(|scheduler, _| scheduler.lost().iter().filter(|(_, id)| is_it(*id)).map(|(lane, _)| lane.0).collect());
    let modalities = model.spec.modalities.iter().map(|modality| {
        let (kind, limits) = match &modality.kind {
            InputKind::Picture { max_side, raw } => ("picture", json!({ "max_side": max_side, "raw": raw })),
            InputKind::Video { frames, max_side, raw } => {
                ("video", json!({ "frames": frames, "max_side": max_side, "raw": raw }))
            }
            InputKind::Sound { hertz, samples } => ("sound", json!({ "hertz": hertz, "samples": samples })),
            InputKind::Text { max_bytes } => ("text", json!({ "max_bytes": max_bytes })),
            InputKind::Samples { shape } => ("samples", json!({ "shape": shape })),
        };
        json!({ "name": modality.name, "kind": kind, "limits": limits })
    });
    json!({
        "name": model.spec.name,
        "modalities": modalities.collect::<Vec<Value>>(),
        "labels": *model.spec.labels,
        "weights_sha256": model.spec.weights_sha256,
        "profiles": profiles,
        "max_requests": model.matrix.max_requests(),
        "lost_on": lost_on,
    })
}

/// The model as each kind of device has it, with the kinds' names.
pub(super) fn variants<'a>(
    service: &'a Service,
    model: &'a ServedModel,
) -> impl Iterator<Item = (&'a str, &'a StrategyMatrix)> {
    let kinds = service.loader.kinds();
    model.variants.iter().map(|variant| (kinds[variant.kind().index()].as_str(), variant.as_ref()))
}

/// No model of this name.
pub(super) fn unknown(models: &ModelSet, name: &str) -> ApiError {
    ApiError::new(ErrorCode::UnknownModel, format!("expected one of the models {}, got {name:?}", models.names()))
}
