//! ECDSA has two signatures for one message: whoever sees (r, s) can write (r, n - s), and both verify. Of the two only the
//! lower one is ours, so that a token has one spelling. (BIP 146 calls it low S; P-256: SEC 2 §2.4.2.)

/// The order of P-256, and half of it, rounded down.
const N: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];
const HALF: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0x80, 0x00, 0x00, 0x00, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xde, 0x73, 0x7d, 0x56, 0xd3, 0x8b, 0xcf, 0x42, 0x79, 0xdc, 0xe5, 0x61, 0x7e, 0x31, 0x92, 0xa8,
];
const R_BYTES: usize = 32;

/// Whether a signature of 64 bytes (RFC 7518 §3.4) is the lower one.
pub fn is_lower(signature: &[u8]) -> bool {
    signature
        .get(R_BYTES..)
        .is_some_and(|s| s <= HALF.as_slice())
}

/// The lower one of the signature and its twin.
pub fn lower(mut signature: Vec<u8>) -> Vec<u8> {
    if !is_lower(&signature) {
        negate(&mut signature[R_BYTES..]);
    }
    signature
}

/// n - s, from the last byte to the first.
fn negate(s: &mut [u8]) {
    let mut borrow = false;
    for (byte, order) in s.iter_mut().zip(N).rev() {
        let (less, first) = order.overflowing_sub(*byte);
        let (less, second) = less.overflowing_sub(u8::from(borrow));
        (*byte, borrow) = (less, first || second);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(s: [u8; 32]) -> Vec<u8> {
        [[7; 32], s].concat()
    }

    #[test]
    fn of_two_twins_one_is_lower() {
        let (mut one, mut above) = ([0; 32], HALF);
        (one[31], above[31]) = (1, HALF[31] + 1);
        for (s, is_low) in [(one, true), (HALF, true), (above, false)] {
            assert_eq!(is_lower(&with(s)), is_low);
            let mut twin = with(s);
            negate(&mut twin[R_BYTES..]);
            assert_eq!(is_lower(&twin), !is_low);
            assert_eq!(lower(twin.clone()), lower(with(s)));
            negate(&mut twin[R_BYTES..]);
            assert_eq!(twin, with(s), "the twin of the twin");
        }
        // n - n/2 is one above the half
        let mut twin = with(HALF);
        negate(&mut twin[R_BYTES..]);
        assert_eq!(twin, with(above));
    }
}
