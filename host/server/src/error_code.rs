//! Every error code of the HTTP interface: its word on the wire, its status, what it means.
//!
//! A code never changes its meaning, and none is ever used for something else. The page for clients is made from this
//! table ([`crate::reference`]).

use axum::http::StatusCode;
use mosel_models::InputFault;

macro_rules! error_codes {
    ($($variant:ident $word:literal $status:ident $explanation:literal)*) => {
        /// What went wrong with a request, for programs.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ErrorCode {
            $(#[doc = $explanation] $variant,)*
        }

        impl ErrorCode {
            /// Every code, grouped by what it is about.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$variant,)*];

            /// The word in the answer's `error.code`.
            pub fn word(self) -> &'static str {
                match self { $(ErrorCode::$variant => $word,)* }
            }

            /// The HTTP status that it comes with.
            pub fn status(self) -> StatusCode {
                match self { $(ErrorCode::$variant => StatusCode::$status,)* }
            }

            /// What it means, in a sentence for whoever wrote the client.
            pub fn explanation(self) -> &'static str {
                match self { $(ErrorCode::$variant => $explanation,)* }
            }
        }
    };
}

error_codes! {
    // the body of a request
    UnsupportedMediaType "unsupported_media_type" UNSUPPORTED_MEDIA_TYPE "The Content-Type is not one that this path takes."
    BodyTooLarge "body_too_large" PAYLOAD_TOO_LARGE "The body is larger than http.max_body_bytes, or a component larger than the sandbox takes."
    SlowBody "slow_body" REQUEST_TIMEOUT "The body did not arrive within http.body_timeout_ms."
    BrokenBody "broken_body" BAD_REQUEST "The connection broke before the whole body was there."
    InvalidUtf8 "invalid_utf8" BAD_REQUEST "The JSON is not UTF-8."
    MalformedJson "malformed_json" BAD_REQUEST "The body is not JSON, or ends too early."
    MissingField "missing_field" BAD_REQUEST "A field that is needed is not there."
    UnknownField "unknown_field" BAD_REQUEST "There is a field that means nothing here."
    DuplicateField "duplicate_field" BAD_REQUEST "A field is there twice."
    WrongType "wrong_type" BAD_REQUEST "A value has another type than the field expects."
    BadMultipart "bad_multipart" BAD_REQUEST "The multipart body is not built as documented."
    BadBase64 "bad_base64" BAD_REQUEST "A file in a JSON body is not base64."
    BadQuery "bad_query" BAD_REQUEST "The query has a key or a value that this path does not take."
    BadPrefer "bad_prefer" BAD_REQUEST "The header Prefer asks for a wait that is no number of seconds."
    BadIdempotencyKey "bad_idempotency_key" BAD_REQUEST "The header Idempotency-Key is not 1 to 255 ASCII characters."

    // what a job asks for
    OutOfRange "out_of_range" BAD_REQUEST "A number is outside its range."
    BadTenant "bad_tenant" BAD_REQUEST "The tenant is not 1 to 64 bytes of visible characters."
    NoRequests "no_requests" BAD_REQUEST "The job has no requests."
    JobTooLarge "job_too_large" PAYLOAD_TOO_LARGE "The job has more requests than queue.max_requests."
    ModalityMissing "modality_missing" UNPROCESSABLE_ENTITY "A request lacks one of the model's modalities."
    ModalityUnknown "modality_unknown" UNPROCESSABLE_ENTITY "A request has a modality that the model does not have."
    InputKind "input_kind" UNPROCESSABLE_ENTITY "An input is of another kind than its modality, such as text for a picture."
    InputShape "input_shape" UNPROCESSABLE_ENTITY "Nested numbers have another shape than the modality."
    InputNotPicture "input_not_picture" UNPROCESSABLE_ENTITY "A file is neither PNG nor JPEG."
    InputBrokenPicture "input_broken_picture" UNPROCESSABLE_ENTITY "A picture cannot be decoded."
    InputPictureSize "input_picture_size" UNPROCESSABLE_ENTITY "A picture has no pixels, or more a side than the model takes."
    InputFrameCount "input_frame_count" UNPROCESSABLE_ENTITY "A video has another number of frames than the model takes."
    InputNotSound "input_not_sound" UNPROCESSABLE_ENTITY "A file is neither WAV nor FLAC."
    InputBrokenSound "input_broken_sound" UNPROCESSABLE_ENTITY "A sound cannot be decoded."
    InputSoundLength "input_sound_length" UNPROCESSABLE_ENTITY "A sound is longer than the model takes."
    InputTextLength "input_text_length" UNPROCESSABLE_ENTITY "A text is empty, or longer than the model takes."
    InputNotUtf8 "input_not_utf8" UNPROCESSABLE_ENTITY "A text is not UTF-8."
    InputUntokenizable "input_untokenizable" UNPROCESSABLE_ENTITY "The model's tokenizer does not take a text."
    InputSampleCount "input_sample_count" UNPROCESSABLE_ENTITY "A list of numbers has another length than the modality's shape."
    InputNotFinite "input_not_finite" UNPROCESSABLE_ENTITY "A number is not finite."
    InputNotWhole "input_not_whole" UNPROCESSABLE_ENTITY "A number that must be whole has a fraction."
    InputOutOfRange "input_out_of_range" UNPROCESSABLE_ENTITY "A number of an input is outside the range that the model takes."

    // what a model gives for a request, in its outputs
    OutputNotFinite "output_not_finite" UNPROCESSABLE_ENTITY "The model gave NaN or infinite numbers for the request."
    OutputOutOfRange "output_out_of_range" UNPROCESSABLE_ENTITY "The model gave a number for the request that is no probability."
    OutputUnknownLabel "output_unknown_label" UNPROCESSABLE_ENTITY "The model gave a label for the request that it does not have."
    RequestFailed "request_failed" UNPROCESSABLE_ENTITY "The model fails whenever it is run on the request, and answers others."

    // what becomes of a job
    FloorUnreachable "floor_unreachable" UNPROCESSABLE_ENTITY "No strategy of the model is as accurate as min_accuracy asks; the details say what is."
    DeadlineImpossible "deadline_impossible" UNPROCESSABLE_ENTITY "Not even an idle server meets the deadline; the details have a counter-offer."
    Overloaded "overloaded" SERVICE_UNAVAILABLE "The deadline cannot be met behind the jobs that wait; the details have a counter-offer."
    QueueFull "queue_full" TOO_MANY_REQUESTS "As many jobs wait on the lane as queue.max_jobs allows."
    OverShare "over_share" TOO_MANY_REQUESTS "The tenant has its share of the queue's places or of the device's time; the details say which."
    InputsFull "inputs_full" SERVICE_UNAVAILABLE "The inputs of all jobs fill queue.max_input_bytes."
    DuplicateJob "duplicate_job" CONFLICT "The scheduler has a job of this number already."
    IdempotencyConflict "idempotency_conflict" CONFLICT "The Idempotency-Key stands for another submission."
    UnknownJob "unknown_job" NOT_FOUND "There is no such job, or it ended too long ago."
    JobEnded "job_ended" CONFLICT "The job has ended and cannot be cancelled."
    DeviceSuspect "device_suspect" SERVICE_UNAVAILABLE "No device that could serve the job can be trusted at present: a batch is overdue, or all take far too long."

    // models
    UnknownModel "unknown_model" NOT_FOUND "No model of this name is served or can be loaded."
    ModelLost "model_lost" SERVICE_UNAVAILABLE "The model failed on every lane that has it and is being built again."
    ModelServed "model_served" CONFLICT "A model of this name is served already."
    ModelRefused "model_refused" UNPROCESSABLE_ENTITY "The model cannot be served: it, or its profile, is not fit."
    LastModel "last_model" CONFLICT "The only model that is served cannot be unloaded."
    TooManyModels "too_many_models" CONFLICT "The server has loaded as many models as it may since it was started."

    // policies
    UnknownPolicy "unknown_policy" NOT_FOUND "No policy of this name is in the store."
    BadPolicyName "bad_policy_name" BAD_REQUEST "A policy's name is 1 to 64 letters, digits, - and _."
    PolicyUnreadable "policy_unreadable" UNPROCESSABLE_ENTITY "The policy's file cannot be read."
    PolicyUnwritable "policy_unwritable" INTERNAL_SERVER_ERROR "The policy cannot be written to its folder."
    PolicyIsShipped "policy_is_shipped" CONFLICT "A shipped policy has this name; it is neither replaced nor deleted."
    PolicyInUse "policy_in_use" CONFLICT "The policy is in place or in the shadow and cannot be deleted."
    PolicyRefused "policy_refused" UNPROCESSABLE_ENTITY "The component is not a policy that the sandbox takes."
    PolicySettingsRefused "policy_settings_refused" UNPROCESSABLE_ENTITY "The policy does not take these settings."
    PolicyRehearsalFailed "policy_rehearsal_failed" UNPROCESSABLE_ENTITY "The policy gave no legal answer at its rehearsal; details.reason says why."
    PolicyChangedMeanwhile "policy_changed_meanwhile" CONFLICT "Another policy was put in place at the same time."
    NothingToRollBackTo "nothing_to_roll_back_to" CONFLICT "There is no policy to go back to."
    NoShadow "no_shadow" NOT_FOUND "There is no policy in the shadow."
    SettingsTooLarge "settings_too_large" PAYLOAD_TOO_LARGE "The settings of a policy are too long."
    StoreFull "shelf_full" INSUFFICIENT_STORAGE "The policy store has no room for another component; delete some."
    UploadsFull "uploads_full" SERVICE_UNAVAILABLE "Other components are being received and fill the memory set aside for them."

    // who may change policies and models
    AdminTokenMissing "admin_token_missing" UNAUTHORIZED "Changing policies and models takes an admin's token, and the request shows none."
    AdminTokenWrong "admin_token_wrong" UNAUTHORIZED "The request that would change policies or models shows a token that the server does not know."
    AdminLoopbackOnly "admin_loopback_only" FORBIDDEN "Not used any more: changing policies and models always takes a token."
    AdminForeignHost "admin_foreign_host" FORBIDDEN "A request that would change policies or models calls the server by a name that is not its own."
    AdminForeignOrigin "admin_foreign_origin" FORBIDDEN "A page of another origin tried to change policies or models."

    // the server
    Starting "starting" SERVICE_UNAVAILABLE "The server is starting; its models are being loaded."
    Draining "draining" SERVICE_UNAVAILABLE "The server is stopping; it finishes what it has accepted and takes nothing new."
    Failed "failed" SERVICE_UNAVAILABLE "A thread that serving needs has died; the server stops and has to be started again."
    UnknownPath "unknown_path" NOT_FOUND "There is nothing at this path."
    MethodNotAllowed "method_not_allowed" METHOD_NOT_ALLOWED "The path does not take this method."
    Internal "internal" INTERNAL_SERVER_ERROR "The server failed; its log says how."

    // reading what clients send
    WorkFull "work_full" SERVICE_UNAVAILABLE "As many bodies wait to be read as http.work_queue allows, of all clients or of this one."

    // what is no request, or has no place
    BadRequest "bad_request" BAD_REQUEST "The request line, a header or the body's framing is not HTTP."
    BadPath "bad_path" BAD_REQUEST "The path is not UTF-8 once its escapes are decoded."
    UriTooLong "uri_too_long" URI_TOO_LONG "The path and its query are longer than the server reads."
    HeadersTooLarge "headers_too_large" REQUEST_HEADER_FIELDS_TOO_LARGE "The head of the request is larger than http.max_header_bytes, or has more than 100 headers."
    SlowHead "slow_head" REQUEST_TIMEOUT "The head of the request did not arrive within http.header_timeout_ms."
    ConnectionsFull "connections_full" SERVICE_UNAVAILABLE "As many connections as the server takes, from all or from one address, are in use."

    // who may do what
    TokenMissing "token_missing" UNAUTHORIZED "The server asks for a token, and the request shows none."
    TokenWrong "token_wrong" UNAUTHORIZED "The request shows a token that the server does not know."
    TokenThrottled "token_throttled" TOO_MANY_REQUESTS "Too many wrong tokens came from this address within a minute."
    Forbidden "forbidden" FORBIDDEN "The token does not have the right that this needs, or is another tenant's."
    ForeignHost "foreign_host" FORBIDDEN "Without tokens the server must be called by a loopback name or one of auth.hosts."
    ForeignOrigin "foreign_origin" FORBIDDEN "The request is from a page of another origin, which auth.origins does not name."
    RateLimited "rate_limited" TOO_MANY_REQUESTS "Submissions came faster than the tenant, or the address, may send them."
    ResultEvicted "result_evicted" GONE "The job has ended, and what came out had to make room for others' results; it is not run again under its key."
    NotReady "not_ready" SERVICE_UNAVAILABLE "A job that were sent now would not be served; GET /readyz says in reasons why."

    // compressed bodies
    UnsupportedEncoding "unsupported_encoding" UNSUPPORTED_MEDIA_TYPE "The Content-Encoding is none that the server unpacks, or there is more than one; Accept-Encoding says which are taken."
    BrokenEncoding "broken_encoding" BAD_REQUEST "The body is not what its Content-Encoding says."
}

impl From<&InputFault> for ErrorCode {
    fn from(fault: &InputFault) -> ErrorCode {
        match fault {
            InputFault::Missing { .. } => ErrorCode::ModalityMissing,
            InputFault::Unknown { .. } => ErrorCode::ModalityUnknown,
            InputFault::WrongKind { .. } => ErrorCode::InputKind,
            InputFault::NotPicture { .. } => ErrorCode::InputNotPicture,
            InputFault::FrameCount { .. } => ErrorCode::InputFrameCount,
            InputFault::NotSound { .. } => ErrorCode::InputNotSound,
            InputFault::BrokenSound { .. } => ErrorCode::InputBrokenSound,
            InputFault::SoundLength { .. } => ErrorCode::InputSoundLength,
            InputFault::PictureSize { .. } => ErrorCode::InputPictureSize,
            InputFault::BrokenPicture { .. } => ErrorCode::InputBrokenPicture,
            InputFault::TextLength { .. } => ErrorCode::InputTextLength,
            InputFault::NotUtf8 { .. } => ErrorCode::InputNotUtf8,
            InputFault::Untokenizable { .. } => ErrorCode::InputUntokenizable,
            InputFault::SampleCount { .. } => ErrorCode::InputSampleCount,
            InputFault::NotFinite { .. } => ErrorCode::InputNotFinite,
            InputFault::NotWhole { .. } => ErrorCode::InputNotWhole,
            InputFault::OutOfRange { .. } => ErrorCode::InputOutOfRange,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Clients have these in their code: a word may be added, none is changed or taken away.
    const WORDS: &str = "unsupported_media_type body_too_large slow_body broken_body invalid_utf8 malformed_json \
        missing_field unknown_field duplicate_field wrong_type bad_multipart bad_base64 bad_query bad_prefer \
        bad_idempotency_key out_of_range bad_tenant no_requests job_too_large modality_missing modality_unknown \
        input_kind input_shape input_not_picture input_broken_picture input_picture_size input_frame_count \
        input_not_sound input_broken_sound input_sound_length input_text_length input_not_utf8 input_untokenizable \
        input_sample_count input_not_finite input_not_whole input_out_of_range output_not_finite output_out_of_range \
        output_unknown_label request_failed floor_unreachable deadline_impossible \
        overloaded queue_full over_share inputs_full duplicate_job idempotency_conflict unknown_job job_ended device_suspect unknown_model \
        model_lost model_served model_refused last_model too_many_models unknown_policy bad_policy_name \
        policy_unreadable policy_unwritable policy_is_shipped policy_in_use policy_refused policy_settings_refused \
        policy_rehearsal_failed policy_changed_meanwhile nothing_to_roll_back_to no_shadow settings_too_large \
        shelf_full uploads_full admin_token_missing admin_token_wrong admin_loopback_only admin_foreign_host \
        admin_foreign_origin starting draining failed unknown_path method_not_allowed internal work_full bad_request \
        bad_path uri_too_long headers_too_large slow_head connections_full token_missing token_wrong token_throttled \
        forbidden foreign_host foreign_origin rate_limited result_evicted not_ready unsupported_encoding \
        broken_encoding";

    #[test]
    fn words_on_the_wire_stay_what_they_are() {
        let words: Vec<&str> = ErrorCode::ALL.iter().map(|code| code.word()).collect();
        assert_eq!(words, WORDS.split_whitespace().collect::<Vec<&str>>());
        assert_eq!(words.iter().collect::<BTreeSet<_>>().len(), words.len(), "every word stands for one code");
    }

    #[test]
    fn every_code_is_an_error_and_explained_in_a_sentence() {
        for code in ErrorCode::ALL {
            assert!(code.status().is_client_error() || code.status().is_server_error(), "{code:?}");
            assert!(code.explanation().ends_with('.'), "{code:?}");
        }
    }

    #[test]
    fn an_inputs_code_is_the_models_word() {
        let faults = [
            InputFault::BrokenPicture { reason: "torn".into() },
            InputFault::BrokenSound { reason: "torn".into() },
            InputFault::NotUtf8 { position: 0 },
            InputFault::NotWhole { position: 0, value: 0.5 },
        ];
        faults.iter().for_each(|fault| assert_eq!(ErrorCode::from(fault).word(), fault.code()));
    }
}
