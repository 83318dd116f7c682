//! A provider in the test's hand: it signs what the test wants, with the key that the test wants.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use actix_web::{App, HttpResponse, HttpServer, web};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign::crypto::signer::{PrivateKey, Signer};
use countersign::types::state::SigningAlgorithm;
use countersign::types::time::Clock;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

pub const CLIENT_ID: &str = "countersign";
pub const CLIENT_SECRET: &str = "the-client-secret-at-the-provider";

/// What the provider answers.
pub struct Answers {
    pub key: Arc<PrivateKey>,
    /// What its key set holds, if it is not the key that it signs with.
    pub published: Option<Value>,
    /// By code.
    pub id_tokens: HashMap<String, String>,
    pub userinfo: Value,
    /// Merged into the metadata.
    pub metadata: Value,
    pub token_status: u16,
    pub jwks_requests: usize,
    pub token_requests: Vec<String>,
}

pub struct Fake {
    pub issuer: String,
    pub answers: Arc<Mutex<Answers>>,
    handle: actix_web::dev::ServerHandle,
}

impl Drop for Fake {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
    }
}

pub fn new_key() -> Arc<PrivateKey> {
    Arc::new(PrivateKey::generate(SigningAlgorithm::Es256).expect("a key"))
}

impl Fake {
    pub fn start() -> Self {
        let answers = Answers {
            key: new_key(),
            published: None,
            id_tokens: HashMap::new(),
            userinfo: Value::Null,
            metadata: json!({}),
            token_status: 200,
            jwks_requests: 0,
            token_requests: Vec::new(),
        };
        let answers = Arc::new(Mutex::new(answers));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let issuer = format!("http://{}", listener.local_addr().expect("an address"));
        let (shared, own, (sender, receiver)) = (
            web::Data::from(Arc::clone(&answers)),
            issuer.clone(),
            std::sync::mpsc::channel(),
        );
        std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let app = move || {
                    App::new()
                        .app_data(shared.clone())
                        .app_data(web::Data::new(own.clone()))
                        .route("/.well-known/openid-configuration", web::get().to(metadata))
                        .route("/jwks", web::get().to(jwks))
                        .route("/token", web::post().to(token))
                        .route("/userinfo", web::get().to(userinfo))
                };
                let server = HttpServer::new(app)
                    .workers(1)
                    .disable_signals()
                    .listen(listener)
                    .expect("it listens")
                    .run();
                sender.send(server.handle()).expect("the test waits");
                server.await.expect("it runs");
            });
        });
        Self {
            issuer,
            answers,
            handle: receiver.recv().expect("it started"),
        }
    }

    pub fn set(&self, change: impl FnOnce(&mut Answers)) {
        change(&mut self.answers.lock().expect("nobody panicked"));
    }

    pub fn get<T>(&self, question: impl FnOnce(&Answers) -> T) -> T {
        question(&self.answers.lock().expect("nobody panicked"))
    }

    /// The claims of a valid ID token.
    pub fn claims(&self, clock: &Clock, nonce: &str, more: Value) -> Value {
        let now = clock.now().seconds();
        let mut claims = json!({"iss": self.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 300, "nonce": nonce, "sub": "s-1"});
        merge(&mut claims, more);
        claims
    }

    /// The code that equals the nonce gives a valid ID token with these claims.
    pub fn vouch(&self, clock: &Clock, nonce: &str, more: Value) {
        let claims = self.claims(clock, nonce, more);
        let signed = self.get(|answers| sign(&answers.key, &claims));
        self.answer(nonce, signed);
    }

    /// The code gives this ID token, once.
    pub fn answer(&self, code: &str, id_token: String) {
        self.set(|answers| drop(answers.id_tokens.insert(code.to_owned(), id_token)));
    }
}

/// Null takes a claim away.
pub fn merge(claims: &mut Value, more: Value) {
    let claims = claims.as_object_mut().expect("an object");
    for (name, value) in more.as_object().expect("an object") {
        if value.is_null() {
            claims.remove(name);
        } else {
            claims.insert(name.clone(), value.clone());
        }
    }
}

pub fn sign(key: &PrivateKey, claims: &Value) -> String {
    let header = Header {
        kid: Some(key.kid.clone()),
        ..Header::new(Algorithm::ES256)
    };
    jsonwebtoken::encode(&header, claims, &EncodingKey::from_ec_der(&key.pkcs8)).expect("it signs")
}

pub fn sign_with_secret(secret: &[u8], kid: Option<&str>, claims: &Value) -> String {
    let header = Header {
        kid: kid.map(str::to_owned),
        ..Header::new(Algorithm::HS256)
    };
    jsonwebtoken::encode(&header, claims, &EncodingKey::from_secret(secret)).expect("it signs")
}

pub fn unsigned(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.", part(header), part(claims))
}

pub fn key_set(key: &PrivateKey) -> Value {
    let copy = PrivateKey {
        kid: key.kid.clone(),
        algorithm: key.algorithm,
        pkcs8: key.pkcs8.clone(),
    };
    Signer::new(
        "nobody",
        &[(copy, countersign::types::time::Timestamp::from_seconds(0))],
    )
    .expect("a signer")
    .jwks()
}

async fn metadata(answers: web::Data<Mutex<Answers>>, issuer: web::Data<String>) -> HttpResponse {
    let mut metadata = json!({
        "issuer": issuer.as_str(),
        "authorization_endpoint": format!("{}/authorize", issuer.as_str()),
        "token_endpoint": format!("{}/token", issuer.as_str()),
        "userinfo_endpoint": format!("{}/userinfo", issuer.as_str()),
        "jwks_uri": format!("{}/jwks", issuer.as_str()),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "authorization_response_iss_parameter_supported": true,
    });
    merge(
        &mut metadata,
        answers.lock().expect("nobody panicked").metadata.clone(),
    );
    HttpResponse::Ok().json(metadata)
}

async fn jwks(answers: web::Data<Mutex<Answers>>) -> HttpResponse {
    let mut answers = answers.lock().expect("nobody panicked");
    answers.jwks_requests += 1;
    HttpResponse::Ok().json(
        answers
            .published
            .clone()
            .unwrap_or_else(|| key_set(&answers.key)),
    )
}

/// Every code is redeemed once.
async fn token(answers: web::Data<Mutex<Answers>>, form: String) -> HttpResponse {
    let mut answers = answers.lock().expect("nobody panicked");
    let code = url::form_urlencoded::parse(form.as_bytes())
        .find(|(name, _)| name == "code")
        .map(|(_, code)| code.into_owned());
    answers.token_requests.push(form);
    if answers.token_status != 200 {
        let status = actix_web::http::StatusCode::from_u16(answers.token_status).expect("a status");
        return HttpResponse::build(status).json(json!({"error": "invalid_grant"}));
    }
    match code.and_then(|code| answers.id_tokens.remove(&code)) {
        Some(id_token) => HttpResponse::Ok()
            .json(json!({"access_token": "opaque", "token_type": "Bearer", "id_token": id_token})),
        None => HttpResponse::BadRequest().json(json!({"error": "invalid_grant"})),
    }
}

async fn userinfo(answers: web::Data<Mutex<Answers>>) -> HttpResponse {
    HttpResponse::Ok().json(&answers.lock().expect("nobody panicked").userinfo)
}
