//! RSA moduli that can be factored by anybody.

/// Primes by which a modulus is tried: all below 752, as the CA/Browser Forum asks.
const FACTOR_MAX: u32 = 752;

/// Primes of the ROCA test (CVE-2017-15361): chips of one maker drew primes that are powers of
/// 65537 modulo each of these, and the identity cards of several countries held such keys.
const ROCA_MAX: u32 = 167;

/// True when `modulus`, big-endian, has a small factor or was drawn as ROCA's were. Passing
/// says nothing about weaknesses that cannot be seen in one modulus alone.
pub(super) fn is_weak(modulus: &[u8]) -> bool {
    primes(FACTOR_MAX).any(|prime| remainder(modulus, prime) == 0) || is_roca(modulus)
}

/// A sound modulus passes for one of ROCA's once in 2²⁷.
fn is_roca(modulus: &[u8]) -> bool {
    primes(ROCA_MAX).all(|prime| {
        let remainder = remainder(modulus, prime);
        powers_of_65537(prime).any(|power| power == remainder)
    })
}

fn primes(max: u32) -> impl Iterator<Item = u32> {
    (2..=max).filter(|number| (2..*number).take_while(|d| d * d <= *number).all(|d| number % d != 0))
}

fn remainder(magnitude: &[u8], divisor: u32) -> u32 {
    magnitude.iter().fold(0, |rest, octet| (rest << 8 | u32::from(*octet)) % divisor)
}

/// 65537⁰, 65537¹ … modulo `prime`, until they repeat.
fn powers_of_65537(prime: u32) -> impl Iterator<Item = u32> {
    let next = move |power: &u32| Some(power * (65_537 % prime) % prime).filter(|power| *power != 1);
    std::iter::successors(Some(1 % prime), next)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product(primes: impl Iterator<Item = u32>) -> Vec<u8> {
        let mut octets = vec![1_u8];
        for prime in primes {
            let mut carry = 0;
            for octet in octets.iter_mut().rev() {
                let value = u32::from(*octet) * prime + carry;
                *octet = value.to_le_bytes()[0];
                carry = value >> 8;
            }
            while carry > 0 {
                octets.insert(0, carry.to_le_bytes()[0]);
                carry >>= 8;
            }
        }
        octets
    }

    #[test]
    fn small_factors_are_found() {
        assert_eq!(primes(30).collect::<Vec<_>>(), [2, 3, 5, 7, 11, 13, 17, 19, 23, 29]);
        for prime in [2, 3, 751] {
            assert!(is_weak(&product([prime, 757, 761].into_iter())), "{prime}");
        }
        assert!(!is_weak(&product([757, 761, 769].into_iter())));
        assert_eq!(remainder(&[0x01, 0x00], 7), 256 % 7);
    }

    #[test]
    fn rocas_moduli_are_found() {
        assert_eq!(powers_of_65537(11).collect::<Vec<_>>(), [1, 10]);
        let primorial = product(primes(ROCA_MAX));
        let mut one_above = [&primorial[..], &[0; 40]].concat();
        *one_above.last_mut().unwrap() = 1;
        assert!(is_roca(&one_above));
        *one_above.last_mut().unwrap() = 3;
        assert!(!is_roca(&one_above));
    }
}
