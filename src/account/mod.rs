//! A person's own account: signing in and out, here and at providers, and what it has connected.

pub mod claims;
pub mod confirm;
pub mod connected_apps;
pub mod hand_over;
pub mod home;
pub mod identity;
pub mod invitations;
mod known_devices;
pub mod openid;
pub mod organizations;
pub mod pages;
pub mod password;
pub mod people_pages;
pub mod sign_in;
pub mod sign_out;

use actix_web::HttpResponse;
use actix_web::cookie::Cookie;

use crate::web::html::PageError;

fn with_cookies(
    mut response: HttpResponse,
    cookies: impl IntoIterator<Item = Cookie<'static>>,
) -> Result<HttpResponse, PageError> {
    for cookie in cookies {
        response
            .add_cookie(&cookie)
            .map_err(|error| PageError::Unavailable(error.to_string()))?;
    }
    Ok(response)
}
