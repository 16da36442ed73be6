//! `--shape` as the lab's commands take it.

/// The input's `HxWxCIN` or `HxWxCINxCOUT`.
#[derive(Clone, Copy, Debug)]
pub struct Dimensions(pub [u32; 4]);

impl std::str::FromStr for Dimensions {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let numbers: Vec<u32> = text.split(['x', 'X']).map_while(|n| n.trim().parse().ok().filter(|n| *n > 0)).collect();
        match (numbers.as_slice(), text.matches(['x', 'X']).count()) {
            ([h, w, c], 2) => Ok(Dimensions([*h, *w, *c, *c])),
            ([h, w, c, out], 3) => Ok(Dimensions([*h, *w, *c, *out])),
            _ => Err("expected HxWxCINxCOUT, such as 14x14x96x576".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_read() {
        let read = |text: &str| text.parse::<Dimensions>().map(|d| d.0).ok();
        assert_eq!((read("14x14x96x576"), read("7x8x9")), (Some([14, 14, 96, 576]), Some([7, 8, 9, 9])));
        assert_eq!((read("14x14"), read("1x2x3x4x5"), read("0x1x2x3"), read("axbxc")), (None, None, None, None));
    }
}
