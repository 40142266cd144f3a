//! The proxy integration of a REST API: its event as a request to a router, and the router's response as its answer.
//!
//! Only what the bank reads of an event is read. The crate `lambda_http` is not used for it: that one joins the `Host`
//! header and the path to an address and parses it, so that a client can make it panic, and dot segments are resolved
//! behind the gateway's back; it puts the stage before the path, keeps one of several headers of a name, and loses
//! the claims of a Cognito authorizer.
//!
//! Who is signed in is the gateway's to check. Its authorizer hands on the claims of a token that it found good, and no
//! claims where a route is public. Absent on purpose: the events of HTTP APIs, load balancers and function addresses,
//! answers that are not text, and the address of the client, which only rate limits would look at.

use std::collections::HashMap;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tower::ServiceExt;
use web::Principal;

use crate::trace::traceparent;

/// The largest answer that Lambda hands on, in bytes (AWS Lambda quotas: invocation payload, synchronous).
const ANSWER_BYTES_MAX: usize = 6 * 1024 * 1024;

/// Where a request goes whose path is none: no route is there.
const NOWHERE: &str = "/nowhere";

/// A request, as the gateway hands it over (Amazon API Gateway Developer Guide: input format of a Lambda function for
/// proxy integration). The path is the one within the stage.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProxyRequest {
    http_method: String,
    path: String,
    #[serde(default)]
    multi_value_headers: Option<HashMap<String, Vec<String>>>,
    #[serde(default)]
    multi_value_query_string_parameters: Option<HashMap<String, Vec<String>>>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
    request_context: RequestContext,
}

#[derive(Deserialize)]
struct RequestContext {
    #[serde(default)]
    authorizer: Option<Authorizer>,
}

#[derive(Deserialize)]
struct Authorizer {
    #[serde(default)]
    claims: Option<Map<String, Value>>,
}

/// An answer, as the gateway takes it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProxyAnswer {
    status_code: u16,
    multi_value_headers: HashMap<String, Vec<String>>,
    body: String,
}

/// Why a request of the gateway is not answered at all. It makes a 502 of that.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GatewayError {
    /// It is not a request.
    #[error("the gateway's request cannot be read: {0}")]
    Request(#[from] axum::http::Error),
    /// Its body is not what it says.
    #[error("the body of the gateway's request is not base64: {0}")]
    Body(#[from] base64::DecodeError),
    /// The answer broke off, or is larger than Lambda hands on.
    #[error("the answer cannot be handed to the gateway: {0}")]
    Answer(#[from] axum::Error),
}

/// Has the router answer the gateway's request. The trace that the gateway or Lambda began, `xray_trace`, is
/// continued where the client sent none of her own.
pub(crate) async fn answer(
    router: Router,
    request: ProxyRequest,
    xray_trace: Option<&str>,
) -> Result<ProxyAnswer, GatewayError> {
    let mut request = http_request(request)?;
    if !request.headers().contains_key("traceparent")
        && let Some(traceparent) = xray_trace.and_then(traceparent)
    {
        request.headers_mut().insert("traceparent", traceparent);
    }
    let response = router.oneshot(request).await.unwrap_or_else(|never| match never {});
    proxy_answer(response).await
}

fn http_request(request: ProxyRequest) -> Result<Request<Body>, GatewayError> {
    let uri = uri(&request.path, &request.multi_value_query_string_parameters.unwrap_or_default());
    let body = match request.body {
        Some(body) if request.is_base64_encoded => STANDARD.decode(body)?.into(),
        Some(body) => Body::from(body),
        None => Body::empty(),
    };
    let mut http = Request::builder()
        .method(Method::try_from(request.http_method.as_str()).map_err(axum::http::Error::from)?)
        .uri(uri)
        .body(body)?;
    *http.headers_mut() = headers(request.multi_value_headers.unwrap_or_default());
    if let Some(claims) = request.request_context.authorizer.and_then(|authorizer| authorizer.claims) {
        match Principal::from_claims(&claims) {
            Ok(principal) => {
                http.extensions_mut().insert(principal);
            }
            // The route answers as to anybody who is not signed in.
            Err(refused) => tracing::warn!(%refused, "the gateway let a token pass that is none of ours"),
        }
    }
    Ok(http)
}

/// The path and the query. The gateway has decoded the query's names and values.
fn uri(path: &str, query: &HashMap<String, Vec<String>>) -> Uri {
    let mut written = form_urlencoded::Serializer::new(String::new());
    for (name, values) in query {
        for value in values {
            written.append_pair(name, value);
        }
    }
    let query = written.finish();
    let path_and_query = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
    Uri::builder().path_and_query(path_and_query).build().unwrap_or_else(|_| Uri::from_static(NOWHERE))
}

/// The headers; one that HTTP does not allow was not sent as one.
fn headers(sent: HashMap<String, Vec<String>>) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(sent.len());
    for (name, values) in sent {
        let Ok(name) = HeaderName::try_from(name) else { continue };
        for value in values {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.append(&name, value);
            }
        }
    }
    headers
}

async fn proxy_answer(response: Response<Body>) -> Result<ProxyAnswer, GatewayError> {
    let (head, body) = response.into_parts();
    let mut multi_value_headers: HashMap<String, Vec<String>> = HashMap::with_capacity(head.headers.len());
    for (name, value) in &head.headers {
        let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
        multi_value_headers.entry(name.as_str().to_owned()).or_default().push(text);
    }
    let body: Bytes = axum::body::to_bytes(body, ANSWER_BYTES_MAX).await?;
    // The bank answers JSON, which is UTF-8.
    let body = String::from_utf8_lossy(&body).into_owned();
    Ok(ProxyAnswer { status_code: head.status.as_u16(), multi_value_headers, body })
}

#[cfg(test)]
#[path = "gateway_tests.rs"]
mod tests;
