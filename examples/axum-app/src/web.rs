//! The application's routes, and SCIM beside them.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts, Path, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post};
use axum::{Json, Router};
use scimwell::{PeerAddress, ScimService};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::database::{Database, DatabaseError};
use crate::directory::{self, User};
use crate::storage::SqliteStorage;
use crate::{customers, sessions};

/// Seats of a customer who has not said how many.
const SEATS: u32 = 5;

/// What the routes share.
#[derive(Clone)]
pub(crate) struct App {
    database: Database,
    storage: Arc<SqliteStorage>,
    /// Of the operator's secret.
    operator: [u8; 32],
}

impl App {
    pub(crate) fn new(database: Database, secret: &str) -> Self {
        let storage = Arc::new(SqliteStorage::new(database.clone()));
        Self { database, storage, operator: sessions::digest(secret) }
    }
}

/// All routes. What none of them takes is SCIM's: `/scim/v2` and `/t/{customer}/scim/v2`, written as administrators write them.
pub(crate) fn router(app: App, scim: ScimService) -> Router {
    Router::new()
        .route("/customers", post(sign_up))
        .route("/customers/{name}", patch(change_seats))
        .route("/sessions", post(sign_in))
        .route("/session", get(who_am_i).delete(sign_out))
        .route("/users", get(colleagues))
        .with_state(app)
        .fallback_service(scim)
        .layer(middleware::from_fn(tell_peer))
}

/// Tells the authenticator and the log where a request comes from.
async fn tell_peer(ConnectInfo(peer): ConnectInfo<SocketAddr>, mut request: Request, next: Next) -> Response {
    request.extensions_mut().insert(PeerAddress(peer));
    next.run(request).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewCustomer {
    name: String,
    #[serde(default)]
    seats: Option<u32>,
}

/// A new customer; the answer has what her administrator pastes into the identity provider.
async fn sign_up(State(app): State<App>, _: Operator, Json(new): Json<NewCustomer>) -> Result<Response, Problem> {
    if !scimwell::tenants::is_valid(&new.name) {
        let why = "name: 1 to 64 letters, digits, `-`, `_` and `.`, the first a letter or digit";
        return Err(Problem::Said(StatusCode::UNPROCESSABLE_ENTITY, why.to_owned()));
    }
    let seats = new.seats.unwrap_or(SEATS);
    if !customers::create(&app.database, &new.name, seats).await? {
        return Err(Problem::Said(StatusCode::CONFLICT, format!("name: there is a customer {:?} already", new.name)));
    }
    let token = customers::issue_token(&*app.storage, &new.name).await?;
    let answer = json!({ "name": new.name, "seats": seats, "scim": { "path": "/scim/v2", "token": token } });
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewSeats {
    seats: u32,
}

async fn change_seats(
    State(app): State<App>,
    _: Operator,
    Path(name): Path<String>,
    Json(new): Json<NewSeats>,
) -> Result<Json<Value>, Problem> {
    match customers::set_seats(&app.database, &name, new.seats).await? {
        true => Ok(Json(json!({ "name": name, "seats": new.seats }))),
        false => Err(Problem::Said(StatusCode::NOT_FOUND, format!("there is no customer {name:?}"))),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignedOn {
    customer: String,
    user_name: String,
}

/// The sign-on service says who is there; only who was provisioned and is active gets a session.
async fn sign_in(State(app): State<App>, _: Operator, Json(who): Json<SignedOn>) -> Result<Response, Problem> {
    let token = sessions::generate().map_err(|error| Problem::Failed(error.to_string()))?;
    match sessions::begin(&app.database, &token, &who.customer, &who.user_name).await? {
        true => Ok((StatusCode::CREATED, Json(json!({ "token": token }))).into_response()),
        false => {
            let why = format!("{} has no access to {}: ask your administrator", who.user_name, who.customer);
            Err(Problem::Said(StatusCode::FORBIDDEN, why))
        }
    }
}

async fn who_am_i(session: Session) -> Json<Value> {
    let Session { customer, user, .. } = session;
    Json(json!({ "customer": customer, "user": user }))
}

async fn sign_out(State(app): State<App>, session: Session) -> Result<StatusCode, Problem> {
    sessions::end(&app.database, &session.token).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn colleagues(State(app): State<App>, session: Session) -> Result<Json<Value>, Problem> {
    let users = directory::users(&app.database, &session.customer).await?;
    let seats = customers::seats(&app.database, &session.customer).await?;
    Ok(Json(json!({ "seats": seats, "users": users })))
}

/// The request is the operator's, or her sign-on service's.
struct Operator;

impl FromRequestParts<App> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        match bearer(&parts.headers) {
            Some(secret) if sessions::digest(secret) == app.operator => Ok(Self),
            _ => Err(Problem::Said(StatusCode::UNAUTHORIZED, "the operator's secret is needed".to_owned())),
        }
    }
}

/// The request is of somebody who is signed in.
struct Session {
    token: String,
    customer: String,
    user: User,
}

impl FromRequestParts<App> for Session {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let signed_out = || Problem::Said(StatusCode::UNAUTHORIZED, "you are not signed in".to_owned());
        let token = bearer(&parts.headers).ok_or_else(signed_out)?.to_owned();
        let (customer, user) = sessions::holder(&app.database, &token).await?.ok_or_else(signed_out)?;
        Ok(Self { token, customer, user })
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// Why a request is not answered as wished.
enum Problem {
    /// For the client to read.
    Said(StatusCode, String),
    /// For the log alone.
    Failed(String),
}

impl From<DatabaseError> for Problem {
    fn from(error: DatabaseError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<scimwell::Error> for Problem {
    fn from(error: scimwell::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, why) = match self {
            Self::Said(status, why) => (status, why),
            Self::Failed(error) => {
                tracing::error!(error, "a request failed");
                (StatusCode::INTERNAL_SERVER_ERROR, "the application failed; its log has the cause".to_owned())
            }
        };
        (status, Json(json!({ "error": why }))).into_response()
    }
}
