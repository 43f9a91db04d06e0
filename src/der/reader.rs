//! Canonical, borrowing reader.

use super::{Oid, UnixTime, tag};

/// Nested constructed values a reader follows; the deepest structure read here has 9.
pub const DEPTH_MAX: u8 = 16;

/// Octets of a length: four octets of length cover 4 GB, beyond any input read here.
const LENGTH_OCTETS_MAX: usize = 4;

/// Why octets are not the DER expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DerError {
    /// The input ends inside a value.
    #[error("the value is cut short")]
    Truncated,
    /// A value of another type stands here.
    #[error("expected tag {expected:#04x}, found {found:#04x}")]
    UnexpectedTag {
        /// The identifier octet asked for.
        expected: u8,
        /// The identifier octet found.
        found: u8,
    },
    /// Tag numbers from 31 on do not occur in the structures read here.
    #[error("multi-octet tags are not used here")]
    HighTagNumber,
    /// The length is indefinite, or longer than it needs to be.
    #[error("the length is not in its shortest definite form")]
    LengthForm,
    /// Octets are left after the last value.
    #[error("unexpected octets after the last value")]
    Trailing,
    /// The content breaks a rule of its type.
    #[error("the content is not canonical for its type")]
    Content,
    /// Values nest deeper than [`DEPTH_MAX`].
    #[error("values nest too deep")]
    Depth,
}

/// One value, borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Element<'a> {
    /// Identifier octet.
    pub tag: u8,
    /// Content octets.
    pub content: &'a [u8],
    /// The whole value: identifier, length and content octets.
    pub whole: &'a [u8],
}

/// Reads values one after another from a slice.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
    depth: u8,
}

impl<'a> Reader<'a> {
    /// Starts at the first octet of `input`.
    #[must_use]
    pub fn new(input: &'a [u8]) -> Self {
        Self { rest: input, depth: 0 }
    }

    /// True when nothing is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The identifier octet of the next value, if there is one.
    #[must_use]
    pub fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Ends reading; an error when octets are left.
    ///
    /// # Errors
    /// [`DerError::Trailing`].
    pub fn finish(self) -> Result<(), DerError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DerError::Trailing) }
    }

    /// Reads the next value, whatever it is.
    ///
    /// # Errors
    /// When it is cut short, its tag has several octets, or its length is not canonical.
    pub fn element(&mut self) -> Result<Element<'a>, DerError> {
        let start = self.rest;
        let (&tag, rest) = start.split_first().ok_or(DerError::Truncated)?;
        if tag & 0x1f == 0x1f {
            return Err(DerError::HighTagNumber);
        }
        let (len, rest) = length(rest)?;
        let (content, rest) = rest.split_at_checked(len).ok_or(DerError::Truncated)?;
        let whole = start.split_at_checked(start.len() - rest.len()).ok_or(DerError::Truncated)?.0;
        self.rest = rest;
        Ok(Element { tag, content, whole })
    }

    /// Reads the content of the next value, which must carry `tag`.
    ///
    /// # Errors
    /// As [`Self::element`], or another tag.
    pub fn read(&mut self, tag: u8) -> Result<&'a [u8], DerError> {
        match self.peek() {
            None => Err(DerError::Truncated),
            Some(found) if found != tag => Err(DerError::UnexpectedTag { expected: tag, found }),
            Some(_) => Ok(self.element()?.content),
        }
    }

    /// Reads the content of the next value if it carries `tag`.
    ///
    /// # Errors
    /// As [`Self::element`].
    pub fn optional(&mut self, tag: u8) -> Result<Option<&'a [u8]>, DerError> {
        if self.peek() == Some(tag) { self.read(tag).map(Some) } else { Ok(None) }
    }

    /// Enters the next value, which must carry `tag`; `inside` must read all of it.
    ///
    /// # Errors
    /// As [`Self::read`], [`DerError::Depth`], octets left over, or what `inside` returns.
    pub fn nested<T, E: From<DerError>>(
        &mut self,
        tag: u8,
        inside: impl FnOnce(&mut Reader<'a>) -> Result<T, E>,
    ) -> Result<T, E> {
        let content = self.read(tag)?;
        let mut reader = self.inner(content)?;
        let value = inside(&mut reader)?;
        reader.finish()?;
        Ok(value)
    }

    /// As [`Self::nested`] for a value that may be absent.
    ///
    /// # Errors
    /// As [`Self::nested`].
    pub fn optional_nested<T, E: From<DerError>>(
        &mut self,
        tag: u8,
        inside: impl FnOnce(&mut Reader<'a>) -> Result<T, E>,
    ) -> Result<Option<T>, E> {
        if self.peek() == Some(tag) { self.nested(tag, inside).map(Some) } else { Ok(None) }
    }

    /// Enters the next SEQUENCE.
    ///
    /// # Errors
    /// As [`Self::nested`].
    pub fn sequence<T, E: From<DerError>>(
        &mut self,
        inside: impl FnOnce(&mut Reader<'a>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.nested(tag::SEQUENCE, inside)
    }

    /// A reader over `content`, one level deeper.
    ///
    /// # Errors
    /// [`DerError::Depth`].
    pub fn inner(&self, content: &'a [u8]) -> Result<Reader<'a>, DerError> {
        let depth = self.depth + 1;
        if depth > DEPTH_MAX { Err(DerError::Depth) } else { Ok(Reader { rest: content, depth }) }
    }

    /// Reads BOOLEAN: 0x00 or 0xff (X.690 §11.1).
    ///
    /// # Errors
    /// As [`Self::read`]; any other octet.
    pub fn boolean(&mut self) -> Result<bool, DerError> {
        match self.read(tag::BOOLEAN)? {
            [0x00] => Ok(false),
            [0xff] => Ok(true),
            _ => Err(DerError::Content),
        }
    }

    /// Reads the content octets of an INTEGER, checked to be the shortest (X.690 §8.3.2).
    ///
    /// # Errors
    /// As [`Self::read`]; empty or padded content.
    pub fn integer(&mut self) -> Result<&'a [u8], DerError> {
        minimal_integer(self.read(tag::INTEGER)?)
    }

    /// Reads a small non-negative INTEGER or ENUMERATED.
    ///
    /// # Errors
    /// As [`Self::read`]; negative, padded or more than 127.
    pub fn small(&mut self, tag: u8) -> Result<u8, DerError> {
        match self.read(tag)? {
            [value @ 0..=0x7f] => Ok(*value),
            _ => Err(DerError::Content),
        }
    }

    /// Reads the content octets of an OBJECT IDENTIFIER, each arc in its shortest form.
    ///
    /// # Errors
    /// As [`Self::read`]; empty, unfinished or padded arcs.
    pub fn oid(&mut self) -> Result<&'a [u8], DerError> {
        let content = self.read(tag::OID)?;
        let mut at_start = true;
        for octet in content {
            if at_start && *octet == 0x80 {
                return Err(DerError::Content);
            }
            at_start = octet & 0x80 == 0;
        }
        if content.is_empty() || !at_start { Err(DerError::Content) } else { Ok(content) }
    }

    /// True when the next value is exactly this OID; reads it either way.
    ///
    /// # Errors
    /// As [`Self::oid`].
    pub fn oid_is(&mut self, oid: &Oid) -> Result<bool, DerError> {
        Ok(self.oid()? == oid.content())
    }

    /// Reads NULL.
    ///
    /// # Errors
    /// As [`Self::read`]; content in it.
    pub fn null(&mut self) -> Result<(), DerError> {
        if self.read(tag::NULL)?.is_empty() { Ok(()) } else { Err(DerError::Content) }
    }

    /// Reads OCTET STRING.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn octet_string(&mut self) -> Result<&'a [u8], DerError> {
        self.read(tag::OCTET_STRING)
    }

    /// Reads a BIT STRING whose bits fill whole octets.
    ///
    /// # Errors
    /// As [`Self::read`]; unused bits.
    pub fn bit_string(&mut self) -> Result<&'a [u8], DerError> {
        match self.read(tag::BIT_STRING)?.split_first() {
            Some((0, octets)) => Ok(octets),
            _ => Err(DerError::Content),
        }
    }

    /// Reads GeneralizedTime in the form of RFC 5280 §4.1.2.5.2.
    ///
    /// # Errors
    /// As [`Self::read`]; fractions, zones other than `Z`, impossible dates.
    pub fn generalized_time(&mut self) -> Result<UnixTime, DerError> {
        UnixTime::from_generalized(self.read(tag::GENERALIZED_TIME)?).map_err(|_| DerError::Content)
    }

    /// Reads the CHOICE `Time` of RFC 5280 §4.1: UTCTime or GeneralizedTime.
    ///
    /// # Errors
    /// As [`Self::generalized_time`].
    pub fn time(&mut self) -> Result<UnixTime, DerError> {
        if self.peek() == Some(tag::UTC_TIME) {
            UnixTime::from_utc(self.read(tag::UTC_TIME)?).map_err(|_| DerError::Content)
        } else {
            self.generalized_time()
        }
    }
}

/// Content octets of an INTEGER without needless leading octets.
fn minimal_integer(content: &[u8]) -> Result<&[u8], DerError> {
    match content {
        [] => Err(DerError::Content),
        [0x00, second, ..] if second & 0x80 == 0 => Err(DerError::Content),
        [0xff, second, ..] if second & 0x80 != 0 => Err(DerError::Content),
        _ => Ok(content),
    }
}

/// Length octets (X.690 §§8.1.3, 10.1) and what follows them.
fn length(input: &[u8]) -> Result<(usize, &[u8]), DerError> {
    let (&first, rest) = input.split_first().ok_or(DerError::Truncated)?;
    if first < 0x80 {
        return Ok((usize::from(first), rest));
    }
    let count = usize::from(first & 0x7f);
    if count == 0 || count > LENGTH_OCTETS_MAX {
        return Err(DerError::LengthForm);
    }
    let (octets, rest) = rest.split_at_checked(count).ok_or(DerError::Truncated)?;
    let len = octets.iter().fold(0, |len, octet| len << 8 | usize::from(*octet));
    let shortest = len >= 0x80 && octets.first() != Some(&0);
    if shortest { Ok((len, rest)) } else { Err(DerError::LengthForm) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(input: &[u8]) -> Result<Element<'_>, DerError> {
        Reader::new(input).element()
    }

    #[test]
    fn x690_s10_1_only_the_shortest_definite_length_is_read() {
        assert_eq!(first(&[4, 1, 9]).unwrap().content, [9]);
        assert_eq!(first(&[4, 0x81, 1, 9]), Err(DerError::LengthForm));
        assert_eq!(first(&[0x30, 0x80, 0, 0]), Err(DerError::LengthForm));
        assert_eq!(first(&[4, 0x82, 0, 0x80]), Err(DerError::LengthForm));
        assert_eq!(first(&[4, 0x85, 1, 0, 0, 0, 0]), Err(DerError::LengthForm));
        let mut long = vec![4, 0x81, 0x80];
        long.extend([7; 0x80]);
        assert_eq!(first(&long).unwrap().content.len(), 0x80);
        assert_eq!(first(&[4, 2, 9]), Err(DerError::Truncated));
        assert_eq!(first(&[0x1f, 0x81, 0, 0]), Err(DerError::HighTagNumber));
    }

    #[test]
    fn x690_s8_3_integers_are_minimal() {
        for (input, good) in [
            (&[2, 1, 0][..], true),
            (&[2, 2, 0, 0x80], true),
            (&[2, 2, 0, 0x7f], false),
            (&[2, 2, 0xff, 0x80], false),
            (&[2, 2, 0xff, 0x7f], true),
            (&[2, 0], false),
        ] {
            assert_eq!(Reader::new(input).integer().is_ok(), good, "{input:x?}");
        }
    }

    #[test]
    fn x690_s11_1_booleans_have_two_octets_to_choose_from() {
        assert_eq!(Reader::new(&[1, 1, 0xff]).boolean(), Ok(true));
        assert_eq!(Reader::new(&[1, 1, 0]).boolean(), Ok(false));
        assert_eq!(Reader::new(&[1, 1, 1]).boolean(), Err(DerError::Content));
    }

    #[test]
    fn nesting_is_bounded_and_nothing_may_trail() {
        let mut deep = vec![0x30, 0];
        for _ in 0..DEPTH_MAX {
            deep = [&[0x30, u8::try_from(deep.len()).unwrap()], &deep[..]].concat();
        }
        fn walk<'a>(reader: &mut Reader<'a>) -> Result<(), DerError> {
            if reader.is_empty() { Ok(()) } else { reader.sequence(walk) }
        }
        assert_eq!(walk(&mut Reader::new(&deep)), Err(DerError::Depth));
        let trailing = Reader::new(&[0x30, 3, 5, 0, 0]).sequence(|r| r.null());
        assert_eq!(trailing, Err(DerError::Trailing));
    }
}
