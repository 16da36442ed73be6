//! Workgroups as an expression: how a kernel that is not of our table says how it is dispatched.
//!
//! Integers over the fields of `layer` and the kernel's own parameters: `+ - * /` (rounded down), parentheses,
//! `ceil(a, b)` (division rounded up), `min(a, b)` and `max(a, b)`.

use super::{Case, Geometry, Layer};
use std::collections::BTreeMap;

/// Three expressions, for x, y and z.
#[derive(Clone, Debug, PartialEq)]
pub struct Workgroups {
    text: String,
    parts: [Expression; 3],
    parameters: BTreeMap<String, f64>,
}

#[derive(Clone, Debug, PartialEq)]
enum Expression {
    Number(u64),
    Name(String),
    Call(char, Box<[Expression; 2]>),
}

/// The names that expressions know, beside the kernel's parameters.
pub const NAMES: [&str; 11] =
    ["batch", "in_height", "in_width", "in_c4", "out_height", "out_width", "out_c4", "pixels", "channels", "kernel_height", "kernel_width"];

impl Workgroups {
    /// From text such as `ceil(out_c4, 8), ceil(pixels, 32)`; y and z are 1 where they are left out.
    ///
    /// # Errors
    /// What is wrong, and at which character.
    pub fn parse(text: &str, parameters: &[(String, f64)]) -> Result<Self, String> {
        let mut parser = Parser { text, at: 0 };
        let mut parts = Vec::new();
        loop {
            parts.push(parser.sum()?);
            match parser.peek() {
                Some(',') if parts.len() < 3 => parser.at += 1,
                None => break,
                Some(other) => return Err(parser.error(&format!("`{other}` was not expected"))),
            }
        }
        parts.resize(3, Expression::Number(1));
        let parameters: BTreeMap<_, _> = parameters.iter().cloned().collect();
        for name in parts.iter().flat_map(Expression::names) {
            if !NAMES.contains(&name) && !parameters.contains_key(name) {
                return Err(format!("`{name}` is not known; there are {} and the kernel's parameters", NAMES.join(", ")));
            }
        }
        let [x, y, z] = <[Expression; 3]>::try_from(parts).map_err(|_| "expected three expressions".to_string())?;
        Ok(Self { text: text.to_string(), parts: [x, y, z], parameters })
    }

    /// For a case; 0 where it cannot be computed, which no device takes.
    pub fn geometry(&self, case: &Case) -> Geometry {
        let layer = Layer::new(case, &Geometry::default());
        let value = |name: &str| match name {
            "batch" => layer.batch.into(),
            "in_height" => layer.in_height.into(),
            "in_width" => layer.in_width.into(),
            "in_c4" => layer.in_c4.into(),
            "out_height" => layer.out_height.into(),
            "out_width" => layer.out_width.into(),
            "out_c4" => layer.out_c4.into(),
            "pixels" => layer.pixels.into(),
            "channels" => layer.channels.into(),
            "kernel_height" => layer.kernel_height.into(),
            "kernel_width" => layer.kernel_width.into(),
            other => self.parameters.get(other).copied().unwrap_or(0.0) as u64,
        };
        let workgroups = [0, 1, 2].map(|i: usize| self.parts[i].evaluate(&value).and_then(|n| u32::try_from(n).ok()).unwrap_or(0));
        Geometry { workgroups, rows: 0, rounds: 0 }
    }
}

impl std::fmt::Display for Workgroups {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl Expression {
    fn names(&self) -> Vec<&str> {
        match self {
            Expression::Number(_) => Vec::new(),
            Expression::Name(name) => vec![name],
            Expression::Call(_, sides) => sides.iter().flat_map(|s| s.names()).collect(),
        }
    }
    fn evaluate(&self, value: &dyn Fn(&str) -> u64) -> Option<u64> {
        match self {
            Expression::Number(n) => Some(*n),
            Expression::Name(name) => Some(value(name)),
            Expression::Call(what, sides) => {
                let (a, b) = (sides[0].evaluate(value)?, sides[1].evaluate(value)?);
                match what {
                    '+' => a.checked_add(b),
                    '-' => a.checked_sub(b),
                    '*' => a.checked_mul(b),
                    '/' => a.checked_div(b),
                    'c' => (b > 0).then(|| a.div_ceil(b)),
                    'm' => Some(a.min(b)),
                    _ => Some(a.max(b)),
                }
            }
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn error(&self, what: &str) -> String {
        format!("at character {} of `{}`: {what}", self.at + 1, self.text)
    }
    /// The next character that is no space.
    fn peek(&mut self) -> Option<char> {
        let rest = self.text.get(self.at..)?;
        self.at += rest.len() - rest.trim_start().len();
        self.text.get(self.at..)?.chars().next()
    }
    fn sum(&mut self) -> Result<Expression, String> {
        let mut left = self.product()?;
        while let Some(sign @ ('+' | '-')) = self.peek() {
            self.at += 1;
            left = Expression::Call(sign, Box::new([left, self.product()?]));
        }
        Ok(left)
    }
    fn product(&mut self) -> Result<Expression, String> {
        let mut left = self.atom()?;
        while let Some(sign @ ('*' | '/')) = self.peek() {
            self.at += 1;
            left = Expression::Call(sign, Box::new([left, self.atom()?]));
        }
        Ok(left)
    }
    fn atom(&mut self) -> Result<Expression, String> {
        match self.peek() {
            Some('(') => {
                self.at += 1;
                let inner = self.sum()?;
                self.expect(')')?;
                Ok(inner)
            }
            Some(c) if c.is_ascii_digit() => {
                let digits = self.word(|c| c.is_ascii_digit());
                digits.parse().map(Expression::Number).map_err(|_| self.error("the number is too large"))
            }
            Some(c) if c.is_ascii_alphabetic() => {
                let name = self.word(|c| c.is_ascii_alphanumeric() || c == '_');
                match name {
                    "ceil" => self.call('c'),
                    "min" => self.call('m'),
                    "max" => self.call('M'),
                    _ => Ok(Expression::Name(name.to_string())),
                }
            }
            _ => Err(self.error("expected a number, a name or `(`")),
        }
    }
    fn call(&mut self, what: char) -> Result<Expression, String> {
        self.expect('(')?;
        let first = self.sum()?;
        self.expect(',')?;
        let second = self.sum()?;
        self.expect(')')?;
        Ok(Expression::Call(what, Box::new([first, second])))
    }
    fn expect(&mut self, wanted: char) -> Result<(), String> {
        if self.peek() == Some(wanted) {
            self.at += 1;
            return Ok(());
        }
        Err(self.error(&format!("expected `{wanted}`")))
    }
    fn word(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let rest = &self.text[self.at..];
        let length = rest.find(|c| !belongs(c)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::graph::Shape;
    use crate::kernel::OpKind;

    fn groups(text: &str) -> Result<[u32; 3], String> {
        let case = Case::plain(OpKind::Pointwise, 2, Shape::new(7, 7, 24), Shape::new(7, 7, 42));
        Ok(Workgroups::parse(text, &[("TILE".into(), 8.0)])?.geometry(&case).workgroups)
    }

    #[test]
    fn expressions_count_workgroups() {
        assert_eq!(groups("ceil(out_c4, 8), ceil(pixels, 4 * TILE)"), Ok([2, 4, 1]));
        assert_eq!(groups("(pixels - 1) / 32 + 1, max(batch, 3), min(2, in_c4)"), Ok([4, 3, 2]));
        assert_eq!(groups("1 - 2"), Ok([0, 1, 1]), "no device takes 0, so the variant does not apply");
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, part) in [
            ("pixels +", "expected a number"),
            ("pixel", "`pixel` is not known"),
            ("ceil(1 2)", "expected `,`"),
            ("1,1,1,1", "not expected"),
        ] {
            let error = groups(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
