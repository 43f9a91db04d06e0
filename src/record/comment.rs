//! What somebody says of a change.

use std::fmt;
use std::str::FromStr;

use super::text::is_unseen;

/// Free text about a change. It may name persons: it stands in the archive, and its entry keeps no more than
/// [`CommentRef`](super::CommentRef).
#[derive(Clone, PartialEq, Eq)]
pub struct Comment(String);

/// The text is no comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CommentError {
    /// It says nothing.
    #[error("the comment is empty: say something, or leave it out")]
    Empty,
    /// It says too much.
    #[error("the comment has {0} characters, and {max} can be kept: shorten it", max = Comment::CHARACTERS_MAX)]
    Long(usize),
    /// It is no single line of text.
    #[error("character {0} of the comment is a control character: write one line, without tabs")]
    Control(usize),
    /// It may show otherwise than it is.
    #[error(
        "character {0} of the comment (U+{code:04X}) is not seen, steers how others are shown, or is no standard one: \
         leave it out",
        code = u32::from(*.1)
    )]
    Unseen(usize, char),
}

impl Comment {
    /// Characters of a comment.
    pub const CHARACTERS_MAX: usize = 500;

    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }
}

/// What it says stays out of logs.
impl fmt::Debug for Comment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Comment").finish_non_exhaustive()
    }
}

impl FromStr for Comment {
    type Err = CommentError;

    fn from_str(text: &str) -> Result<Self, CommentError> {
        let count = text.chars().count();
        if text.trim().is_empty() {
            return Err(CommentError::Empty);
        }
        if count > Self::CHARACTERS_MAX {
            return Err(CommentError::Long(count));
        }
        match (1..).zip(text.chars()).find(|(_, character)| is_unseen(*character)) {
            Some((at, character)) if character.is_control() => Err(CommentError::Control(at)),
            Some((at, character)) => Err(CommentError::Unseen(at, character)),
            None => Ok(Self(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c_5_a_comment_is_one_line_of_up_to_500_characters_and_its_debug_says_nothing() {
        for right in ["x".to_owned(), "本人から電話 (妻)".to_owned(), "あ".repeat(500), "😀".repeat(500)]
        {
            let comment: Comment = right.parse().unwrap();
            assert_eq!(comment.text(), right);
            assert_eq!(format!("{comment:?}"), "Comment { .. }");
        }
        for (wrong, error) in [
            (String::new(), CommentError::Empty),
            ("   ".to_owned(), CommentError::Empty),
            ("あ".repeat(501), CommentError::Long(501)),
            ("a\nb".to_owned(), CommentError::Control(2)),
            ("a\tb".to_owned(), CommentError::Control(2)),
            ("ab\u{7f}".to_owned(), CommentError::Control(3)),
            ("\u{1b}[2J".to_owned(), CommentError::Control(1)),
            ("a\u{85}".to_owned(), CommentError::Control(2)),
            ("a\u{2028}b".to_owned(), CommentError::Unseen(2, '\u{2028}')),
            // What steers how the line is shown, is not seen, or is a municipality's own.
            ("a\u{202e}b".to_owned(), CommentError::Unseen(2, '\u{202e}')),
            ("\u{2066}a".to_owned(), CommentError::Unseen(1, '\u{2066}')),
            ("ab\u{200b}".to_owned(), CommentError::Unseen(3, '\u{200b}')),
            ("\u{feff}a".to_owned(), CommentError::Unseen(1, '\u{feff}')),
            ("関\u{e0100}".to_owned(), CommentError::Unseen(2, '\u{e0100}')),
            ("\u{e000}".to_owned(), CommentError::Unseen(1, '\u{e000}')),
        ] {
            assert_eq!(wrong.parse::<Comment>(), Err(error), "{wrong:?}");
            assert!(!error.to_string().contains('\n'), "{error}");
        }
    }
}
