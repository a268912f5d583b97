//! Rows that a function gives all at once, into PostgreSQL's own store for them, which goes to disk when it is large.

use crate::error::IdentityError;
use pgrx::pg_sys;
use pgrx::PgMemoryContexts;

/// The rows of the answer.
pub(super) struct Rows {
    store: *mut pg_sys::Tuplestorestate,
    descriptor: pg_sys::TupleDesc,
}

impl Rows {
    /// Prepares the answer of a function that returns a table. Errors: XX000 when the caller takes no such answer.
    ///
    /// # Safety
    /// `fcinfo` comes from PostgreSQL.
    pub(super) unsafe fn begin(fcinfo: pg_sys::FunctionCallInfo) -> Result<Self, IdentityError> {
        let wrong = || IdentityError::Internal("a set was returned where none is taken".into());
        // SAFETY: the caller's promise; the kind of node is checked before it is read as one; store and descriptor are made
        // in the memory of the query, which takes them over and outlives the call.
        unsafe {
            let answer = (*fcinfo).resultinfo as *mut pg_sys::ReturnSetInfo;
            if answer.is_null() || (*answer).type_ != pg_sys::NodeTag::T_ReturnSetInfo {
                return Err(wrong());
            }
            let modes = (*answer).allowedModes as u32;
            if modes & pg_sys::SetFunctionReturnMode::SFRM_Materialize == 0 {
                return Err(wrong());
            }
            let random = modes & pg_sys::SetFunctionReturnMode::SFRM_Materialize_Random != 0;
            let memory = (*(*answer).econtext).ecxt_per_query_memory;
            let before = pg_sys::MemoryContextSwitchTo(memory);
            let mut descriptor = std::ptr::null_mut();
            let mut row_type = pg_sys::InvalidOid;
            let class = pg_sys::get_call_result_type(fcinfo, &mut row_type, &mut descriptor);
            let store = pg_sys::tuplestore_begin_heap(random, false, pg_sys::work_mem);
            (*answer).returnMode = pg_sys::SetFunctionReturnMode::SFRM_Materialize;
            (*answer).setResult = store;
            (*answer).setDesc = descriptor;
            pg_sys::MemoryContextSwitchTo(before);
            if descriptor.is_null() || class != pg_sys::TypeFuncClass::TYPEFUNC_COMPOSITE {
                return Err(wrong());
            }
            Ok(Self { store, descriptor })
        }
    }

    /// Adds a row; a column that is None is NULL. Errors: XX000 for another number of columns than are declared.
    pub(super) fn put<const COLUMNS: usize>(
        &mut self,
        row: [Option<pg_sys::Datum>; COLUMNS],
    ) -> Result<(), IdentityError> {
        let mut nulls = row.map(|value| value.is_none());
        let mut values = row.map(|value| value.unwrap_or(pg_sys::Datum::from(0)));
        // SAFETY: the descriptor lives as long as the query; two arrays of as many columns as it has. The store copies.
        unsafe {
            if usize::try_from((*self.descriptor).natts) != Ok(COLUMNS) {
                return Err(IdentityError::Internal(
                    "a row has other columns than the function declares".into(),
                ));
            }
            pg_sys::tuplestore_putvalues(
                self.store,
                self.descriptor,
                values.as_mut_ptr(),
                nulls.as_mut_ptr(),
            );
        }
        Ok(())
    }
}

/// Runs `body` in memory of its own, which is given back when it ends.
pub(super) fn in_memory_of_its_own<R>(body: impl FnOnce() -> R) -> R {
    let mut memory = PgMemoryContexts::new("visitor_identity rows");
    // SAFETY: the context lives until the end of this function, and what `body` answers owns nothing of it.
    unsafe { memory.switch_to(|_| body()) }
}
