"""
The attributes that images need, by name: tag and value representation.

Only what is listed here is kept by the tag walk of `headers`; everything else is skipped without building an
object. To need one more attribute, add its line.
"""

from __future__ import annotations

from typing import Final, Self

__all__ = ["ATTRIBUTES", "Attribute"]


class Attribute(int):
    """A tag (it is the `int` ``0xGGGGEEEE``) that knows its value representation."""

    vr: str
    """
    Value representation, where the file does not say (implicit VR, UN). ``US/SS``: by PixelRepresentation.
    """
    json_name: str
    """Name in DICOM JSON: eight hexadecimal digits."""

    def __new__(cls, tag: int, vr: str) -> Self:
        """Return the tag `tag` with the value representation `vr`."""
        self = super().__new__(cls, tag)
        self.vr = vr
        self.json_name = f"{tag:08X}"
        return self

    def __repr__(self) -> str:
        """Return the tag as the standard writes it."""
        return f"({self >> 16:04X},{self & 0xFFFF:04X})"


TRANSFER_SYNTAX_UID: Final = Attribute(0x00020010, "UI")

SPECIFIC_CHARACTER_SET: Final = Attribute(0x00080005, "CS")
IMAGE_TYPE: Final = Attribute(0x00080008, "CS")
SOP_CLASS_UID: Final = Attribute(0x00080016, "UI")
SOP_INSTANCE_UID: Final = Attribute(0x00080018, "UI")
SERIES_DATE: Final = Attribute(0x00080021, "DA")
ACQUISITION_DATE: Final = Attribute(0x00080022, "DA")
CONTENT_DATE: Final = Attribute(0x00080023, "DA")
ACQUISITION_DATE_TIME: Final = Attribute(0x0008002A, "DT")
SERIES_TIME: Final = Attribute(0x00080031, "TM")
ACQUISITION_TIME: Final = Attribute(0x00080032, "TM")
CONTENT_TIME: Final = Attribute(0x00080033, "TM")
MODALITY: Final = Attribute(0x00080060, "CS")
MANUFACTURER: Final = Attribute(0x00080070, "LO")
CODE_VALUE: Final = Attribute(0x00080100, "SH")
CODE_MEANING: Final = Attribute(0x00080104, "LO")
TIMEZONE_OFFSET_FROM_UTC: Final = Attribute(0x00080201, "SH")
SERIES_DESCRIPTION: Final = Attribute(0x0008103E, "LO")
START_TRIM: Final = Attribute(0x00082142, "IS")
STOP_TRIM: Final = Attribute(0x00082143, "IS")
RECOMMENDED_DISPLAY_FRAME_RATE: Final = Attribute(0x00082144, "IS")
AVAILABLE_TRANSFER_SYNTAX_UID: Final = Attribute(0x00083002, "UI")
FRAME_TYPE: Final = Attribute(0x00089007, "CS")
COMPLEX_IMAGE_COMPONENT: Final = Attribute(0x00089208, "CS")

PATIENT_SEX: Final = Attribute(0x00100040, "CS")
PATIENT_SIZE: Final = Attribute(0x00101020, "DS")
PATIENT_WEIGHT: Final = Attribute(0x00101030, "DS")

RADIOPHARMACEUTICAL: Final = Attribute(0x00180031, "LO")
CINE_RATE: Final = Attribute(0x00180040, "IS")
SLICE_THICKNESS: Final = Attribute(0x00180050, "DS")
EFFECTIVE_DURATION: Final = Attribute(0x00180072, "DS")
ECHO_TIME: Final = Attribute(0x00180081, "DS")
ECHO_NUMBERS: Final = Attribute(0x00180086, "IS")
SPACING_BETWEEN_SLICES: Final = Attribute(0x00180088, "DS")
TRIGGER_TIME: Final = Attribute(0x00181060, "DS")
FRAME_TIME: Final = Attribute(0x00181063, "DS")
FRAME_TIME_VECTOR: Final = Attribute(0x00181065, "DS")
FRAME_DELAY: Final = Attribute(0x00181066, "DS")
RADIOPHARMACEUTICAL_START_TIME: Final = Attribute(0x00181072, "TM")
RADIONUCLIDE_TOTAL_DOSE: Final = Attribute(0x00181074, "DS")
RADIONUCLIDE_HALF_LIFE: Final = Attribute(0x00181075, "DS")
RADIONUCLIDE_POSITRON_FRACTION: Final = Attribute(0x00181076, "DS")
RADIOPHARMACEUTICAL_START_DATE_TIME: Final = Attribute(0x00181078, "DT")
DISTANCE_SOURCE_TO_DETECTOR: Final = Attribute(0x00181110, "DS")
DISTANCE_SOURCE_TO_PATIENT: Final = Attribute(0x00181111, "DS")
ESTIMATED_RADIOGRAPHIC_MAGNIFICATION_FACTOR: Final = Attribute(0x00181114, "DS")
IMAGER_PIXEL_SPACING: Final = Attribute(0x00181164, "DS")
ACTUAL_FRAME_DURATION: Final = Attribute(0x00181242, "IS")
PREFERRED_PLAYBACK_SEQUENCING: Final = Attribute(0x00181244, "US")
SEQUENCE_OF_ULTRASOUND_REGIONS: Final = Attribute(0x00186011, "SQ")
REGION_SPATIAL_FORMAT: Final = Attribute(0x00186012, "US")
REGION_DATA_TYPE: Final = Attribute(0x00186014, "US")
REGION_FLAGS: Final = Attribute(0x00186016, "UL")
REGION_LOCATION_MIN_X0: Final = Attribute(0x00186018, "UL")
REGION_LOCATION_MIN_Y0: Final = Attribute(0x0018601A, "UL")
REGION_LOCATION_MAX_X1: Final = Attribute(0x0018601C, "UL")
REGION_LOCATION_MAX_Y1: Final = Attribute(0x0018601E, "UL")
REFERENCE_PIXEL_X0: Final = Attribute(0x00186020, "SL")
REFERENCE_PIXEL_Y0: Final = Attribute(0x00186022, "SL")
PHYSICAL_UNITS_X_DIRECTION: Final = Attribute(0x00186024, "US")
PHYSICAL_UNITS_Y_DIRECTION: Final = Attribute(0x00186026, "US")
REFERENCE_PIXEL_PHYSICAL_VALUE_X: Final = Attribute(0x00186028, "FD")
REFERENCE_PIXEL_PHYSICAL_VALUE_Y: Final = Attribute(0x0018602A, "FD")
PHYSICAL_DELTA_X: Final = Attribute(0x0018602C, "FD")
PHYSICAL_DELTA_Y: Final = Attribute(0x0018602E, "FD")
TRANSDUCER_FREQUENCY: Final = Attribute(0x00186030, "UL")
FRAME_ACQUISITION_DATE_TIME: Final = Attribute(0x00189074, "DT")
EFFECTIVE_ECHO_TIME: Final = Attribute(0x00189082, "FD")
DIFFUSION_B_VALUE: Final = Attribute(0x00189087, "FD")
MR_ECHO_SEQUENCE: Final = Attribute(0x00189114, "SQ")
MR_DIFFUSION_SEQUENCE: Final = Attribute(0x00189117, "SQ")
CARDIAC_SYNCHRONIZATION_SEQUENCE: Final = Attribute(0x00189118, "SQ")
FRAME_REFERENCE_DATE_TIME: Final = Attribute(0x00189151, "DT")
MR_IMAGE_FRAME_TYPE_SEQUENCE: Final = Attribute(0x00189226, "SQ")
CT_IMAGE_FRAME_TYPE_SEQUENCE: Final = Attribute(0x00189329, "SQ")
DECAY_CORRECTION_DATE_TIME: Final = Attribute(0x00189701, "DT")
PET_FRAME_TYPE_SEQUENCE: Final = Attribute(0x00189751, "SQ")
DECAY_CORRECTED: Final = Attribute(0x00189758, "CS")
ATTENUATION_CORRECTED: Final = Attribute(0x00189759, "CS")

SIEMENS_B_VALUE: Final = Attribute(0x0019100C, "IS")

STUDY_INSTANCE_UID: Final = Attribute(0x0020000D, "UI")
SERIES_INSTANCE_UID: Final = Attribute(0x0020000E, "UI")
SERIES_NUMBER: Final = Attribute(0x00200011, "IS")
ACQUISITION_NUMBER: Final = Attribute(0x00200012, "IS")
INSTANCE_NUMBER: Final = Attribute(0x00200013, "IS")
IMAGE_POSITION_PATIENT: Final = Attribute(0x00200032, "DS")
IMAGE_ORIENTATION_PATIENT: Final = Attribute(0x00200037, "DS")
FRAME_OF_REFERENCE_UID: Final = Attribute(0x00200052, "UI")
TEMPORAL_POSITION_IDENTIFIER: Final = Attribute(0x00200100, "IS")
NUMBER_OF_TEMPORAL_POSITIONS: Final = Attribute(0x00200105, "IS")
STACK_ID: Final = Attribute(0x00209056, "SH")
IN_STACK_POSITION_NUMBER: Final = Attribute(0x00209057, "UL")
FRAME_CONTENT_SEQUENCE: Final = Attribute(0x00209111, "SQ")
PLANE_POSITION_SEQUENCE: Final = Attribute(0x00209113, "SQ")
PLANE_ORIENTATION_SEQUENCE: Final = Attribute(0x00209116, "SQ")
TEMPORAL_POSITION_INDEX: Final = Attribute(0x00209128, "UL")
NOMINAL_CARDIAC_TRIGGER_DELAY_TIME: Final = Attribute(0x00209153, "FD")
FRAME_ACQUISITION_NUMBER: Final = Attribute(0x00209156, "US")
DIMENSION_INDEX_VALUES: Final = Attribute(0x00209157, "UL")
DIMENSION_INDEX_POINTER: Final = Attribute(0x00209165, "AT")
DIMENSION_INDEX_SEQUENCE: Final = Attribute(0x00209222, "SQ")
IMAGE_POSITION_VOLUME: Final = Attribute(0x00209301, "FD")
IMAGE_ORIENTATION_VOLUME: Final = Attribute(0x00209302, "FD")
TEMPORAL_POSITION_TIME_OFFSET: Final = Attribute(0x0020930D, "FD")
PLANE_POSITION_VOLUME_SEQUENCE: Final = Attribute(0x0020930E, "SQ")
PLANE_ORIENTATION_VOLUME_SEQUENCE: Final = Attribute(0x0020930F, "SQ")
TEMPORAL_POSITION_SEQUENCE: Final = Attribute(0x00209310, "SQ")

SAMPLES_PER_PIXEL: Final = Attribute(0x00280002, "US")
PHOTOMETRIC_INTERPRETATION: Final = Attribute(0x00280004, "CS")
PLANAR_CONFIGURATION: Final = Attribute(0x00280006, "US")
NUMBER_OF_FRAMES: Final = Attribute(0x00280008, "IS")
ROWS: Final = Attribute(0x00280010, "US")
COLUMNS: Final = Attribute(0x00280011, "US")
PIXEL_SPACING: Final = Attribute(0x00280030, "DS")
CORRECTED_IMAGE: Final = Attribute(0x00280051, "CS")
BITS_ALLOCATED: Final = Attribute(0x00280100, "US")
BITS_STORED: Final = Attribute(0x00280101, "US")
HIGH_BIT: Final = Attribute(0x00280102, "US")
PIXEL_REPRESENTATION: Final = Attribute(0x00280103, "US")
PIXEL_PADDING_VALUE: Final = Attribute(0x00280120, "US/SS")
PIXEL_PADDING_RANGE_LIMIT: Final = Attribute(0x00280121, "US/SS")
FLOAT_PIXEL_PADDING_VALUE: Final = Attribute(0x00280122, "FL")
DOUBLE_FLOAT_PIXEL_PADDING_VALUE: Final = Attribute(0x00280123, "FD")
FLOAT_PIXEL_PADDING_RANGE_LIMIT: Final = Attribute(0x00280124, "FL")
DOUBLE_FLOAT_PIXEL_PADDING_RANGE_LIMIT: Final = Attribute(0x00280125, "FD")
BURNED_IN_ANNOTATION: Final = Attribute(0x00280301, "CS")
PIXEL_SPACING_CALIBRATION_TYPE: Final = Attribute(0x00280A02, "CS")
PIXEL_SPACING_CALIBRATION_DESCRIPTION: Final = Attribute(0x00280A04, "LO")
WINDOW_CENTER: Final = Attribute(0x00281050, "DS")
WINDOW_WIDTH: Final = Attribute(0x00281051, "DS")
RESCALE_INTERCEPT: Final = Attribute(0x00281052, "DS")
RESCALE_SLOPE: Final = Attribute(0x00281053, "DS")
RESCALE_TYPE: Final = Attribute(0x00281054, "LO")
WINDOW_CENTER_WIDTH_EXPLANATION: Final = Attribute(0x00281055, "LO")
VOI_LUT_FUNCTION: Final = Attribute(0x00281056, "CS")
RED_PALETTE_DESCRIPTOR: Final = Attribute(0x00281101, "US/SS")
GREEN_PALETTE_DESCRIPTOR: Final = Attribute(0x00281102, "US/SS")
BLUE_PALETTE_DESCRIPTOR: Final = Attribute(0x00281103, "US/SS")
RED_PALETTE: Final = Attribute(0x00281201, "OW")
GREEN_PALETTE: Final = Attribute(0x00281202, "OW")
BLUE_PALETTE: Final = Attribute(0x00281203, "OW")
SEGMENTED_RED_PALETTE: Final = Attribute(0x00281221, "OW")
SEGMENTED_GREEN_PALETTE: Final = Attribute(0x00281222, "OW")
SEGMENTED_BLUE_PALETTE: Final = Attribute(0x00281223, "OW")
LOSSY_IMAGE_COMPRESSION: Final = Attribute(0x00282110, "CS")
LOSSY_IMAGE_COMPRESSION_RATIO: Final = Attribute(0x00282112, "DS")
LOSSY_IMAGE_COMPRESSION_METHOD: Final = Attribute(0x00282114, "CS")
MODALITY_LUT_SEQUENCE: Final = Attribute(0x00283000, "SQ")
LUT_DESCRIPTOR: Final = Attribute(0x00283002, "US/SS")
MODALITY_LUT_TYPE: Final = Attribute(0x00283004, "LO")
LUT_DATA: Final = Attribute(0x00283006, "OW")
VOI_LUT_SEQUENCE: Final = Attribute(0x00283010, "SQ")
PIXEL_MEASURES_SEQUENCE: Final = Attribute(0x00289110, "SQ")
FRAME_VOI_LUT_SEQUENCE: Final = Attribute(0x00289132, "SQ")
PIXEL_VALUE_TRANSFORMATION_SEQUENCE: Final = Attribute(0x00289145, "SQ")

DISTANCE_SOURCE_TO_ENTRANCE: Final = Attribute(0x00400306, "DS")
MEASUREMENT_UNITS_CODE_SEQUENCE: Final = Attribute(0x004008EA, "SQ")
REAL_WORLD_VALUE_MAPPING_SEQUENCE: Final = Attribute(0x00409096, "SQ")
REAL_WORLD_VALUE_LAST: Final = Attribute(0x00409211, "US/SS")
REAL_WORLD_VALUE_LUT_DATA: Final = Attribute(0x00409212, "FD")
DOUBLE_FLOAT_REAL_WORLD_VALUE_LAST: Final = Attribute(0x00409213, "FD")
DOUBLE_FLOAT_REAL_WORLD_VALUE_FIRST: Final = Attribute(0x00409214, "FD")
REAL_WORLD_VALUE_FIRST: Final = Attribute(0x00409216, "US/SS")
REAL_WORLD_VALUE_INTERCEPT: Final = Attribute(0x00409224, "FD")
REAL_WORLD_VALUE_SLOPE: Final = Attribute(0x00409225, "FD")

GE_B_VALUE: Final = Attribute(0x00431039, "IS")

ENERGY_WINDOW_VECTOR: Final = Attribute(0x00540010, "US")

RADIOPHARMACEUTICAL_INFORMATION_SEQUENCE: Final = Attribute(0x00540016, "SQ")
DETECTOR_VECTOR: Final = Attribute(0x00540020, "US")
DETECTOR_INFORMATION_SEQUENCE: Final = Attribute(0x00540022, "SQ")
PHASE_VECTOR: Final = Attribute(0x00540030, "US")
ROTATION_VECTOR: Final = Attribute(0x00540050, "US")
R_R_INTERVAL_VECTOR: Final = Attribute(0x00540060, "US")
TIME_SLOT_VECTOR: Final = Attribute(0x00540070, "US")
SLICE_VECTOR: Final = Attribute(0x00540080, "US")
ANGULAR_VIEW_VECTOR: Final = Attribute(0x00540090, "US")
TIME_SLICE_VECTOR: Final = Attribute(0x00540100, "US")
RADIONUCLIDE_CODE_SEQUENCE: Final = Attribute(0x00540300, "SQ")
SERIES_TYPE: Final = Attribute(0x00541000, "CS")
UNITS: Final = Attribute(0x00541001, "CS")
COUNTS_SOURCE: Final = Attribute(0x00541002, "CS")
SUV_TYPE: Final = Attribute(0x00541006, "CS")
DECAY_CORRECTION: Final = Attribute(0x00541102, "CS")
FRAME_REFERENCE_TIME: Final = Attribute(0x00541300, "DS")
DECAY_FACTOR: Final = Attribute(0x00541321, "DS")
DOSE_CALIBRATION_FACTOR: Final = Attribute(0x00541322, "DS")
SCATTER_FRACTION_FACTOR: Final = Attribute(0x00541323, "DS")
IMAGE_INDEX: Final = Attribute(0x00541330, "US")

SEGMENTATION_TYPE: Final = Attribute(0x00620001, "CS")
SEGMENT_SEQUENCE: Final = Attribute(0x00620002, "SQ")
SEGMENT_NUMBER: Final = Attribute(0x00620004, "US")
SEGMENT_LABEL: Final = Attribute(0x00620005, "LO")
SEGMENT_IDENTIFICATION_SEQUENCE: Final = Attribute(0x0062000A, "SQ")
REFERENCED_SEGMENT_NUMBER: Final = Attribute(0x0062000B, "US")

UIH_B_VALUE: Final = Attribute(0x00651009, "FD")
UIH_NUMBER_OF_IMAGES_IN_GRID: Final = Attribute(0x00651050, "DS")

PHILIPS_B_VALUE: Final = Attribute(0x20011003, "FL")

PRESENTATION_LUT_SHAPE: Final = Attribute(0x20500020, "CS")

DOSE_UNITS: Final = Attribute(0x30040002, "CS")
GRID_FRAME_OFFSET_VECTOR: Final = Attribute(0x3004000C, "DS")
DOSE_GRID_SCALING: Final = Attribute(0x3004000E, "DS")

SHARED_FUNCTIONAL_GROUPS_SEQUENCE: Final = Attribute(0x52009229, "SQ")
PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE: Final = Attribute(0x52009230, "SQ")

EXTENDED_OFFSET_TABLE: Final = Attribute(0x7FE00001, "OV")
EXTENDED_OFFSET_TABLE_LENGTHS: Final = Attribute(0x7FE00002, "OV")
FLOAT_PIXEL_DATA: Final = Attribute(0x7FE00008, "OF")
DOUBLE_FLOAT_PIXEL_DATA: Final = Attribute(0x7FE00009, "OD")
PIXEL_DATA: Final = Attribute(0x7FE00010, "OW")

ATTRIBUTES: Final[dict[str, Attribute]] = {
    name: value for name, value in globals().items() if isinstance(value, Attribute)
}
"""Every attribute of this module, by its name."""
