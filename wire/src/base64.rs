//! Bytes in JSON: base64 with the standard alphabet and padding (RFC 4648 §4), which every language has.

use std::fmt;

use base64::Engine as _;
use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::ser::{Serialize, Serializer};

/// Bytes to send.
#[derive(Clone, Copy)]
pub struct Sent<'a>(pub &'a [u8]);

impl Serialize for Sent<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Base64Display::new(self.0, &STANDARD))
    }
}

/// Bytes received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received(pub Vec<u8>);

impl<'de> Deserialize<'de> for Received {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Received;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes as a base64 string")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Received, E> {
                // The text is somebody's data: no message shows it.
                STANDARD
                    .decode(text)
                    .map(Received)
                    .map_err(|_| E::custom("a string is no base64 (RFC 4648 §4, with padding)"))
            }
        }

        deserializer.deserialize_str(Text)
    }
}
