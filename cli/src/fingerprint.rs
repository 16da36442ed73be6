//! Whether two lots of data are the same, told by one number.

/// FNV-1a of 64 bits: the same in every version of this program, and against mistakes, not against people.
pub struct Fingerprint(pub u64);

impl Default for Fingerprint {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fingerprint {
    /// Of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let mut fingerprint = Self::default();
        fingerprint.add(bytes);
        fingerprint
    }
    /// Takes in bytes.
    pub fn add(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.step(u64::from(*byte)));
    }
    /// Takes in numbers, by their bits.
    pub fn add_values(&mut self, values: &[f32]) {
        values.iter().for_each(|value| self.step(u64::from(value.to_bits())));
    }
    fn step(&mut self, value: u64) {
        self.0 = (self.0 ^ value).wrapping_mul(0x0100_0000_01b3);
    }
}

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_tell_apart_what_differs() {
        // The published value of FNV-1a.
        assert_eq!(Fingerprint::of(b"foobar").to_string(), "85944171f73967e8");
        let of = |values: &[f32]| {
            let mut fingerprint = Fingerprint::default();
            fingerprint.add_values(values);
            fingerprint.to_string()
        };
        assert_ne!(of(&[1.0, 2.0]), of(&[2.0, 1.0]));
        assert_ne!(of(&[0.0]), of(&[-0.0]));
    }
}
