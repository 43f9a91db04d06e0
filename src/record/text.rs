//! Text that somebody gives and somebody else reads.

/// What a reader of a text cannot see, or sees otherwise than who wrote it: controls, marks that only steer how
/// the text around them is shown, and characters a municipality made for itself (外字).
#[must_use]
pub fn is_unseen(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}'
                | '\u{e000}'..='\u{f8ff}'
                | '\u{e0000}'..='\u{10ffff}'
        )
}
