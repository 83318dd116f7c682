//! What every parser that meets the network promises, one file and one function a parser: `check(input)` panics where a
//! promise is broken. The fuzz targets beside this folder and `tests/it/parsers.rs` run the same functions.

pub mod address;
pub mod basic;
pub mod cookies;
pub mod credential;
pub mod email;
pub mod form;
pub mod format;
pub mod id;
pub mod pkce;
pub mod redirect_uri;
pub mod return_to;
pub mod scope;
pub mod stamp;
pub mod text;
pub mod token;
pub mod verify;

/// One parser: its name is that of its file, of its fuzz target and of the folder of its seeds.
pub struct Target {
    pub name: &'static str,
    pub check: fn(&[u8]),
}

macro_rules! targets {
    ($($name:ident)*) => {
        pub const TARGETS: &[Target] = &[$(Target { name: stringify!($name), check: $name::check },)*];
    };
}

targets! { address basic cookies credential email form format id pkce redirect_uri return_to scope stamp text token verify }
