//! Operator tokens: list, create, revoke.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::pages::ShownOncePage;
use super::pages::tokens::{PermissionTick, TokenForm, TokenRow, TokensPage};
use super::shell::{self, Operator};
use crate::app::App;
use crate::crypto::Plaintext;
use crate::crypto::digest::Purpose;
use crate::crypto::format::{TokenKind, hint, mint_token};
use crate::domain::Refusal;
use crate::domain::desk::{VendorDesk, VendorView};
use crate::domain::operations::idempotency::Ticket;
use crate::domain::operations::operator_tokens::{self, NewOperatorToken};
use crate::store::operator_tokens::OperatorToken;
use crate::types::time::Timestamp;
use crate::web::form::Form;
use crate::web::html::{self, PageError};
use crate::web::once::{self, Once};
use crate::web::page::{FieldErrors, Link};
use crate::web::refusal::{date_or_never, field_errors, parse_id};
use crate::web::visitor::Visitor;

const LIST: &str = "/operator/tokens";
const SECONDS_A_DAY: i64 = 24 * 60 * 60;

/// `GET /operator/tokens`.
pub async fn list(app: web::Data<App>, visitor: Visitor) -> Result<HttpResponse, PageError> {
    let operator = shell::enter(&visitor)?;
    let form = Form::default();
    let template = page(&app, &visitor, &operator, &form, FieldErrors::default()).await?;
    Ok(html::page(StatusCode::OK, &template, None))
}

/// `POST /operator/tokens` with `csrf name permission… expiry`. The answer is the only page that ever shows the token.
pub async fn create(
    app: web::Data<App>,
    visitor: Visitor,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, PageError> {
    let (operator, form) = shell::submitted(&app, &visitor, &request, payload).await?;
    form.refuse_repeated(&["name", "expiry"])?;
    visitor.require_proof(LIST)?;
    let ticket = once::ticket(&app, &visitor, &request, &form)?;
    match make(&app, &operator, &form, ticket).await {
        Ok((Once::MadeBefore(_), _)) => Ok(once::made_before(
            operator.shell("Token created"),
            "The token",
            Link {
                href: LIST.to_owned(),
                label: "To the tokens".to_owned(),
            },
        )),
        Ok((Once::Made(token), plaintext)) => {
            let template = ShownOncePage {
                shell: operator.shell("Token created"),
                heading: "The token is ready".to_owned(),
                about: token.name,
                kind: "Operator token".to_owned(),
                secret: plaintext.expose().to_owned(),
                advice: "Your program sends it as Authorization: Bearer.".to_owned(),
                back: LIST.to_owned(),
            };
            Ok(html::page(StatusCode::OK, &template, None))
        }
        Err(refusal) => {
            let errors = field_errors(refusal)?;
            let template = page(&app, &visitor, &operator, &form, errors).await?;
            Ok(html::page(
                StatusCode::UNPROCESSABLE_ENTITY,
                &template,
                None,
            ))
        }
    }
}

/// `POST /operator/tokens/{id}/revoke` with `csrf`.
pub async fn revoke(
    app: web::Data<App>,
    visitor: Visitor,
    request: HttpRequest,
    path: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, PageError> {
    let (operator, _) = shell::submitted(&app, &visitor, &request, payload).await?;
    let id = parse_id(&path)?;
    let end = move |desk: &mut VendorDesk| operator_tokens::end(desk, id);
    shell::change_vendor(&app, &operator, end).await?;
    Ok(html::see_other(LIST))
}

async fn make(
    app: &App,
    operator: &Operator,
    form: &Form,
    ticket: Ticket,
) -> Result<(Once<OperatorToken>, Plaintext), Refusal> {
    let expires_at = match form.field("expiry") {
        "never" => None,
        days @ ("30" | "90" | "365") => days
            .parse()
            .ok()
            .map(|days: i64| operator.now.plus_seconds(days * SECONDS_A_DAY)),
        _ => return Err(Refusal::field("expiry", "Choose when it expires.")),
    };
    let permissions: Vec<String> = form.all("permission").map(str::to_owned).collect();
    if permissions.is_empty() {
        return Err(Refusal::field("permissions", "Choose what it may do."));
    }
    let token = mint_token(&app.config.keys.prefix, TokenKind::OperatorToken);
    let new = NewOperatorToken {
        name: form.field("name").to_owned(),
        permissions,
        expires_at,
        digest: app.digester.digest(Purpose::OperatorToken, token.expose()),
        hint: hint(&token),
    };
    let grant = move |desk: &mut VendorDesk| {
        operator_tokens::grant(desk, &new).map(|made| (made.id.to_string(), made))
    };
    let made = shell::make_vendor(app, operator, ticket, grant).await?;
    Ok((made, token))
}

async fn page(
    app: &App,
    visitor: &Visitor,
    operator: &Operator,
    form: &Form,
    errors: FieldErrors,
) -> Result<TokensPage, PageError> {
    let list = |view: &mut VendorView| operator_tokens::list(view);
    let tokens = shell::ask_vendor(app, operator, list).await?;
    let catalogue = &app.settings.catalogue;
    let everything = catalogue.all() | catalogue.operator();
    let tick = |name: &str| {
        let permission = catalogue.permission(name)?;
        Some(PermissionTick {
            name: name.to_owned(),
            title: catalogue.entry(permission).title.clone(),
            selected: form.all("permission").any(|own| own == name),
        })
    };
    let confirm = visitor.require_proof(LIST).err();
    let expiry = match form.field("expiry") {
        "" => "90",
        typed => typed,
    };
    Ok(TokensPage {
        shell: operator.shell("Operator tokens"),
        csrf: operator.csrf(),
        tokens: tokens
            .into_iter()
            .filter(|token| token.revoked_at.is_none())
            .map(|token| row(token, visitor.now()))
            .collect(),
        confirm_href: confirm.and_then(|error| error.proof_href()),
        permissions: catalogue
            .names(everything)
            .into_iter()
            .filter_map(tick)
            .collect(),
        form: TokenForm {
            name: form.field("name").to_owned(),
            expiry: expiry.to_owned(),
        },
        errors,
    })
}

fn row(token: OperatorToken, now: Timestamp) -> TokenRow {
    let expired = token.expires_at.is_some_and(|end| end <= now);
    TokenRow {
        hint: format!("{}…", token.hint),
        permissions: token.permissions.split(' ').map(str::to_owned).collect(),
        created: token.created_at.date(),
        expires: if expired {
            "Expired".to_owned()
        } else {
            date_or_never(token.expires_at)
        },
        last_used: date_or_never(token.last_used_at),
        revoke_action: format!("{LIST}/{}/revoke", token.id),
        name: token.name,
    }
}
